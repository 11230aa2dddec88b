// A disk as a power cut shows it: what is written stands in the page cache, which outlives the process; on the medium it
// is only when it was synced, or when the kernel happened to write it back. Files are written back by sectors, in any
// order; the names in one directory in the order in which they were made, each directory by itself.
//
//   write ──> cache (dirty sectors) ──sync begins──> in flight ──sync ends──> medium
//                    └────────────── at any time, any of them ──────────────────┘

import type { Random } from "./random.ts";

export const SECTOR_BYTES = 512;
/** The kernel commits its journal, so names are on the medium after this time, milliseconds ... */
const JOURNAL_MS = 5_000;
/** ... and bytes after this one. */
export const WRITE_BACK_MS = 30_000;

export class SimFile {
  cache: Uint8Array = new Uint8Array(0);
  size = 0;
  medium: Uint8Array = new Uint8Array(0);
  mediumSize = 0;
  readonly dirty = new Set<number>();
  /** What a sync that runs is about to put on the medium. */
  inFlight = new Map<number, Uint8Array>();
  /** A sync failed: the kernel takes these for written, and the medium has not got them. */
  readonly lost = new Set<number>();
  /** It was made shorter, and the medium does not know. */
  cut = false;
  /** Since when the medium lacks something. */
  dirtyMs = Infinity;

  write(bytes: Uint8Array, from: number, count: number, at: number): void {
    this.#reach(at + count);
    this.cache.set(bytes.subarray(from, from + count), at);
    for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < at + count; sector++) {
      this.dirty.add(sector);
      this.lost.delete(sector);
    }
    this.size = Math.max(this.size, at + count);
  }

  resize(size: number): void {
    this.#reach(size);
    if (size < this.size) {
      this.cache.fill(0, size, this.size);
      this.cut = true;
      for (const sector of this.dirty) if (sector * SECTOR_BYTES >= size) this.dirty.delete(sector);
      if (size % SECTOR_BYTES !== 0) this.dirty.add(Math.floor(size / SECTOR_BYTES));
    }
    this.size = size;
  }

  sector(index: number): Uint8Array {
    return this.cache.slice(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
  }

  /** The kernel puts a sector on the medium without being asked. */
  writeBack(index: number): void {
    this.persist(index, this.sector(index));
    this.dirty.delete(index);
    this.inFlight.delete(index);
  }

  persist(index: number, bytes: Uint8Array): void {
    const end = index * SECTOR_BYTES + bytes.length;
    this.medium = grown(this.medium, end);
    this.medium.set(bytes, index * SECTOR_BYTES);
  }

  /** The medium holds `size` bytes of it; what was never written is zeros. */
  setMediumSize(size: number): void {
    this.medium = grown(this.medium, size);
    if (size < this.mediumSize) this.medium.fill(0, size, this.mediumSize);
    this.mediumSize = size;
  }

  #reach(size: number): void {
    this.cache = grown(this.cache, size);
  }
}

export class SimDirectory {
  entries = new Map<string, SimNode>();
  medium = new Map<string, SimNode>();
}

export type SimNode = SimFile | SimDirectory;

/** A change of names that the medium does not know yet. */
interface NameChange {
  readonly atMs: number;
  readonly directories: readonly SimDirectory[];
  readonly apply: () => void;
}

/** What a power cut takes. */
export interface CutOdds {
  /** Of a dirty sector, that it is on the medium. */
  readonly sector: number;
  /** Of a change of names. */
  readonly name: number;
}

export class SimDisk {
  root = new SimDirectory();
  /** How often the machine was started. */
  boots = 1;
  readonly #random: Random;
  readonly #now: () => number;
  #names: NameChange[] = [];
  readonly #unclean = new Set<SimFile>();

  constructor(random: Random, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  link(directory: SimDirectory, name: string, node: SimNode): void {
    directory.entries.set(name, node);
    this.#change([directory], () => directory.medium.set(name, node));
  }

  unlink(directory: SimDirectory, name: string): void {
    directory.entries.delete(name);
    this.#change([directory], () => directory.medium.delete(name));
  }

  rename(from: SimDirectory, name: string, to: SimDirectory, newName: string): void {
    const node = from.entries.get(name)!;
    from.entries.delete(name);
    to.entries.set(newName, node);
    this.#change(from === to ? [from] : [from, to], () => {
      from.medium.delete(name);
      to.medium.set(newName, node);
    });
  }

  /** The file has something that the medium has not. */
  touched(file: SimFile): void {
    if (!this.#unclean.has(file)) file.dirtyMs = this.#now();
    this.#unclean.add(file);
  }

  /** Returns what ends the sync: with the node's content as it is now on the medium, or, when it fails, with it lost. */
  beginSync(node: SimNode): (failed: boolean) => void {
    if (node instanceof SimFile) return this.#beginFileSync(node);
    const changes = this.#changesOf(node);
    return (failed) => {
      if (failed) return;
      for (const change of this.#names) if (changes.has(change)) change.apply();
      this.#names = this.#names.filter((change) => !changes.has(change));
    };
  }

  /** Now and then the kernel writes something back of its own accord. */
  writeBack(): void {
    if (this.#names.length > 0 && this.#random.chance(0.3)) this.#commitJournal(this.#random.below(this.#names.length));
    for (const file of this.#unclean) {
      if (!this.#random.chance(0.3)) continue;
      for (const sector of [...file.dirty]) if (this.#random.chance(0.5)) file.writeBack(sector);
    }
  }

  /** The kernel's timers. */
  tick(): void {
    for (const file of this.#unclean) {
      if (file.dirtyMs + WRITE_BACK_MS <= this.#now()) this.#writeBackAll(file);
    }
    let count = 0;
    while (count < this.#names.length && this.#names[count]!.atMs + JOURNAL_MS <= this.#now()) count++;
    if (count > 0) this.#commitJournal(count);
  }

  #writeBackAll(file: SimFile): void {
    for (const sector of file.dirty) file.writeBack(sector);
    file.setMediumSize(file.size);
    file.cut = false;
    // What a sync is busy with stays its own affair.
    if (file.inFlight.size === 0 && file.lost.size === 0) this.#unclean.delete(file);
    else file.dirtyMs = this.#now();
  }

  /** The process died: the page cache stays. After a failed sync parts of it may be gone. */
  afterKill(): void {
    for (const file of this.#unclean) {
      for (const sector of file.inFlight.keys()) file.dirty.add(sector);
      file.inFlight.clear();
      for (const sector of file.lost) {
        if (this.#random.chance(0.5)) file.cache.set(mediumSector(file, sector), sector * SECTOR_BYTES);
      }
      file.lost.clear();
    }
  }

  /** The power goes: what is on the medium stays, and of the rest what chance has written back. */
  afterPowerCut(odds: CutOdds): void {
    this.boots++;
    const broken = new Set<SimDirectory>();
    for (const change of this.#names) {
      const whole = change.directories.every((directory) => !broken.has(directory));
      if (whole && this.#random.chance(odds.name)) change.apply();
      else for (const directory of change.directories) broken.add(directory);
    }
    this.#names = [];
    for (const file of this.#unclean) this.#cutPower(file, odds.sector);
    this.#unclean.clear();
    settleNames(this.root);
  }

  #cutPower(file: SimFile, odds: number): void {
    const random = this.#random;
    // Some files fare better than others: what is written to two of them has no order.
    const chance = random.chance(0.5) ? odds : random.pick([0, 1, random.fraction()]);
    if (file.cut && random.chance(0.5)) file.setMediumSize(Math.min(file.mediumSize, file.size));
    for (const [sector, bytes] of file.inFlight) if (random.chance(chance)) file.persist(sector, bytes);
    for (const sector of file.dirty) if (random.chance(chance)) file.persist(sector, file.sector(sector));
    if (file.size > file.mediumSize && random.chance(chance)) {
      const grownBy = file.size - file.mediumSize;
      file.setMediumSize(random.chance(0.5) ? file.size : file.mediumSize + random.below(grownBy + 1));
    }
    // What lies behind the end is not there.
    file.medium = grown(file.medium, file.mediumSize);
    file.medium.fill(0, file.mediumSize);
    file.cache = file.medium.slice();
    file.size = file.mediumSize;
    file.dirty.clear();
    file.inFlight.clear();
    file.lost.clear();
    file.cut = false;
  }

  #beginFileSync(file: SimFile): (failed: boolean) => void {
    const size = file.size;
    for (const sector of file.dirty) file.inFlight.set(sector, file.sector(sector));
    file.dirty.clear();
    return (failed) => {
      for (const [sector, bytes] of file.inFlight) {
        if (failed && this.#random.chance(0.8)) file.lost.add(sector);
        else file.persist(sector, bytes);
      }
      file.inFlight.clear();
      if (failed) return;
      file.setMediumSize(size);
      if (file.size === size) file.cut = false;
      if (file.dirty.size === 0 && file.size === size && file.lost.size === 0) this.#unclean.delete(file);
    };
  }

  #change(directories: readonly SimDirectory[], apply: () => void): void {
    this.#names.push({ atMs: this.#now(), directories, apply });
  }

  #commitJournal(count: number): void {
    for (const change of this.#names.splice(0, count)) change.apply();
  }

  /** What a sync of `directory` covers: its changes, and in other directories those that came before them. */
  #changesOf(directory: SimDirectory): Set<NameChange> {
    const needed = new Set([directory]);
    const changes = new Set<NameChange>();
    for (const change of this.#names.toReversed()) {
      if (!change.directories.some((one) => needed.has(one))) continue;
      changes.add(change);
      for (const one of change.directories) needed.add(one);
    }
    return changes;
  }
}

function mediumSector(file: SimFile, index: number): Uint8Array {
  const bytes = new Uint8Array(Math.min(SECTOR_BYTES, Math.max(0, file.cache.length - index * SECTOR_BYTES)));
  const at = index * SECTOR_BYTES;
  bytes.set(file.medium.subarray(at, Math.min(at + bytes.length, file.medium.length)));
  return bytes;
}

function settleNames(directory: SimDirectory): void {
  directory.entries = new Map(directory.medium);
  for (const node of directory.entries.values()) if (node instanceof SimDirectory) settleNames(node);
}

function grown(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const larger = new Uint8Array(Math.max(size, bytes.length * 2, SECTOR_BYTES));
  larger.set(bytes);
  return larger;
}
