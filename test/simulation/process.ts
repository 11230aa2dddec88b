// One process of the broker on the simulated machine: its descriptors, its lock, its sync thread, and its death. A process
// can be made to die at any change that it makes to the disk, also in the middle of a write; from then on nothing that it
// tries has any effect.

import type { FileLock, Syncer } from "../../src/runtime/runtime.ts";
import type { Product } from "./product.ts";
import { SimDirectory, type SimDisk, SimFile, type SimNode } from "./sim_disk.ts";
import type { World } from "./world.ts";

/** Thrown out of whatever the process was doing when it died. */
export class Death extends Error {
  override readonly name = "Death";
}

export interface ProcessPlan {
  /** It dies at this change of the disk, counted from 1; 0: it does not. */
  readonly dieAtChange: number;
  /** It dies while this sync runs, counted from 1; 0: it does not. */
  readonly dieInSync: number;
  /** This sync fails, counted from 1; 0: none. */
  readonly failSync: number;
  /** The longest sync, milliseconds. */
  readonly syncMsMax: number;
}

const DESCRIPTOR_FIRST = 10;

export class SimProcess {
  dead = false;
  /** Changes made to the disk. */
  changes = 0;
  syncs = 0;
  /** A sync was told to have failed. */
  syncFailed = false;
  readonly world: World;
  readonly medium: SimDisk;
  readonly product: Product;
  readonly plan: ProcessPlan;
  readonly #descriptors = new Map<number, SimNode>();
  #dieAtChange: number;
  #nextDescriptor = DESCRIPTOR_FIRST;
  #locked = false;

  constructor(world: World, medium: SimDisk, product: Product, plan: ProcessPlan) {
    this.world = world;
    this.medium = medium;
    this.product = product;
    this.plan = plan;
    this.#dieAtChange = plan.dieAtChange;
  }

  get openCount(): number {
    return this.#descriptors.size;
  }

  // Dying

  die(): void {
    this.dead = true;
  }

  /** It dies so many changes from now. */
  dieSoon(changes: number): void {
    this.#dieAtChange = this.changes + changes;
  }

  alive(): void {
    if (this.dead) throw new Death("the process is gone");
  }

  /** Every change passes here first; true when it is the one that the process dies in. */
  change(what: string, path: string, bytes = 0): boolean {
    this.alive();
    this.changes++;
    this.world.trace.add(what, path, bytes);
    return this.changes === this.#dieAtChange;
  }

  /** As `change`, for those that happen wholly or not at all. */
  whole(what: string, path: string): void {
    if (this.change(what, path)) this.#expire();
  }

  /** Dies after a part of a write. */
  write(file: SimFile, path: string, bytes: Uint8Array, from: number, count: number, at: number): void {
    const dying = this.change("write", path, at);
    const written = dying ? this.world.random.below(count + 1) : count;
    if (written > 0) file.write(bytes, from, written, at);
    this.medium.touched(file);
    if (dying) this.#expire();
  }

  #expire(): never {
    this.world.trace.add("dies", this.changes);
    this.die();
    throw new Death("the process dies");
  }

  // Descriptors

  describe(node: SimNode): number {
    const fd = this.#nextDescriptor++;
    this.#descriptors.set(fd, node);
    return fd;
  }

  nodeOf(fd: number): SimNode {
    this.alive();
    const node = this.#descriptors.get(fd);
    if (node === undefined) throw errno("EBADF", `descriptor ${fd}`);
    return node;
  }

  fileOf(fd: number): SimFile {
    const node = this.nodeOf(fd);
    if (node instanceof SimFile) return node;
    throw errno("EISDIR", `descriptor ${fd}`);
  }

  release(fd: number): void {
    this.nodeOf(fd);
    this.#descriptors.delete(fd);
  }

  // Paths

  find(path: string): SimNode | null {
    this.alive();
    let node: SimNode = this.medium.root;
    for (const name of namesOf(path)) {
      if (!(node instanceof SimDirectory)) return null;
      const next: SimNode | undefined = node.entries.get(name);
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }

  directory(path: string): SimDirectory {
    const node = this.find(path);
    if (node instanceof SimDirectory) return node;
    throw errno(node === null ? "ENOENT" : "ENOTDIR", path);
  }

  lock(path: string): FileLock | null {
    this.alive();
    if (this.#locked) return null;
    this.#locked = true;
    this.world.trace.add("lock", path);
    return { release: () => this.#locked = false };
  }

  /** The sync thread: the files one after the other, each with its own end. */
  startSyncer(): Syncer {
    const { world } = this;
    let running = 0;
    let idle: (() => void) | null = null;
    return {
      sync: (fds, done) => {
        this.alive();
        const number = ++this.syncs;
        const fails = number === this.plan.failSync;
        const ends = fds.map((fd) => this.medium.beginSync(this.nodeOf(fd)));
        const failing = fails ? world.random.below(fds.length) : -1;
        world.trace.add("sync", number, fds.length);
        running++;
        const syncMs = 0.05 + world.random.fraction() * this.plan.syncMsMax;
        if (number === this.plan.dieInSync) world.after(world.random.fraction() * syncMs, () => this.die());
        world.after(syncMs, () => {
          running--;
          // After the first error the thread looks at no other file.
          ends.forEach((end, index) => {
            if (!fails || index <= failing) end(index === failing);
          });
          world.trace.add(fails ? "sync-failed" : "synced", number);
          world.promised = true;
          this.syncFailed ||= fails;
          done(fails ? new this.product.FileFault("sync", `descriptor ${fds[failing]}`, "EIO") : null);
          if (running === 0) idle?.();
        });
      },
      close: () => running === 0 ? Promise.resolve() : new Promise((resolve) => idle = resolve),
    };
  }
}

export function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

/** An error as node:fs throws it. */
export function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
