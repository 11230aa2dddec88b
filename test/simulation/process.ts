// What one process of the broker sees of the simulated machine: its disk, its segment files, its sync thread, all of
// which end when the process does. A process can be made to die at any change that it makes to the disk, also in the
// middle of a write; from then on nothing that it tries has any effect.

import type { Disk, Stat } from "../../src/runtime/disk.ts";
import type { FileLock, SegmentFile, SegmentFiles, Syncer } from "../../src/runtime/runtime.ts";
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
  #nextDescriptor = DESCRIPTOR_FIRST;
  #locked = false;

  constructor(world: World, medium: SimDisk, product: Product, plan: ProcessPlan) {
    this.world = world;
    this.medium = medium;
    this.product = product;
    this.plan = plan;
  }

  get openCount(): number {
    return this.#descriptors.size;
  }

  // Dying

  die(): void {
    this.dead = true;
  }

  alive(): void {
    if (this.dead) throw new Death("the process is gone");
  }

  /** Every change passes here first; true when it is the one that the process dies in. */
  change(what: string, path: string, bytes = 0): boolean {
    this.alive();
    this.changes++;
    this.world.trace.add(what, path, bytes);
    return this.changes === this.plan.dieAtChange;
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
        world.after(0.05 + world.random.fraction() * this.plan.syncMsMax, () => {
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

/** Small files and directories, as node:fs shows them. */
export function diskOf(process: SimProcess): Disk {
  const { medium } = process;
  const place = (path: string): { parent: SimDirectory; name: string } => {
    const names = namesOf(path);
    const name = names.pop() ?? "";
    return { parent: process.directory(`/${names.join("/")}`), name };
  };
  const expectFile = (path: string): SimFile => {
    const node = process.find(path);
    if (node instanceof SimFile) return node;
    throw errno(node === null ? "ENOENT" : "EISDIR", path);
  };
  const create = (path: string): SimFile => {
    const { parent, name } = place(path);
    const file = new SimFile();
    medium.link(parent, name, file);
    medium.touched(file);
    return file;
  };
  const sync = (node: SimNode): void => medium.beginSync(node)(false);
  const removeBelow = (directory: SimDirectory, path: string): void => {
    for (const [name, node] of [...directory.entries]) {
      if (node instanceof SimDirectory) removeBelow(node, `${path}/${name}`);
      process.whole("unlink", `${path}/${name}`);
      medium.unlink(directory, name);
    }
  };
  const disk: Disk = {
    open(path, flags) {
      if (flags !== "w+") {
        const node = process.find(path);
        if (node === null) throw errno("ENOENT", path);
        return process.describe(flags === "r" ? node : expectFile(path));
      }
      process.whole("create", path);
      const present = process.find(path);
      const file = present === null ? create(path) : expectFile(path);
      file.resize(0);
      return process.describe(file);
    },
    close: (fd) => process.release(fd),
    read(fd, bytes, to, count, at) {
      const file = process.fileOf(fd);
      const found = Math.max(0, Math.min(count, file.size - at));
      bytes.set(file.cache.subarray(at, at + found), to);
      return found;
    },
    write(fd, bytes, from, count, at) {
      process.write(process.fileOf(fd), "log", bytes, from, count, at);
      return count;
    },
    truncate(fd, bytes) {
      const file = process.fileOf(fd);
      process.whole("truncate", "log");
      file.resize(bytes);
      medium.touched(file);
    },
    sync(fd) {
      const node = process.nodeOf(fd);
      process.whole("fsync", "log");
      sync(node);
    },
    readFile(path) {
      const node = process.find(path);
      return node === null ? null : expectFile(path).cache.slice(0, (node as SimFile).size);
    },
    writeFile(path, bytes) {
      const fd = disk.open(path, "w+");
      disk.write(fd, bytes, 0, bytes.length, 0);
      disk.close(fd);
    },
    copyFile(path, to) {
      if (process.find(to) !== null) throw errno("EEXIST", to);
      disk.writeFile(to, disk.readFile(path)!);
    },
    stat(path): Stat | null {
      const node = process.find(path);
      return node && { isDirectory: node instanceof SimDirectory, bytes: node instanceof SimFile ? node.size : 0 };
    },
    rename(from, to) {
      process.whole("rename", to);
      if (process.find(from) === null) throw errno("ENOENT", from);
      const [source, target] = [place(from), place(to)];
      medium.rename(source.parent, source.name, target.parent, target.name);
    },
    link(path, to) {
      if (process.find(to) !== null) throw errno("EEXIST", to);
      const file = expectFile(path);
      process.whole("link", to);
      const { parent, name } = place(to);
      medium.link(parent, name, file);
    },
    remove(path) {
      if (process.find(path) === null) return;
      expectFile(path);
      process.whole("unlink", path);
      const { parent, name } = place(path);
      medium.unlink(parent, name);
    },
    makeDirectory(path) {
      let first: string | null = null;
      let at = "";
      for (const name of namesOf(path)) {
        const parent = process.directory(at === "" ? "/" : at);
        at = `${at}/${name}`;
        if (parent.entries.has(name)) continue;
        process.whole("mkdir", at);
        medium.link(parent, name, new SimDirectory());
        first ??= at;
      }
      return first;
    },
    makePrivate: (path) => void process.directory(path),
    list: (path) => [...process.directory(path).entries.keys()],
    entries(path) {
      return [...process.directory(path).entries].map(([name, node]) => {
        return { name, kind: node instanceof SimDirectory ? "directory" : "file" };
      });
    },
    listDirectories(path) {
      return [...process.directory(path).entries].filter(([, node]) => node instanceof SimDirectory).map(([name]) =>
        name
      );
    },
    removeTree(path) {
      const node = process.find(path);
      if (node === null) return;
      if (node instanceof SimDirectory) removeBelow(node, path);
      process.whole("unlink", path);
      const { parent, name } = place(path);
      medium.unlink(parent, name);
    },
    syncDirectory(path) {
      process.whole("fsync", path);
      sync(process.directory(path));
    },
    freeBytes: () => 2 ** 40,
  };
  return disk;
}

/** Segment files: like mapped ones, a write is in the page cache when it returns. */
export function segmentFilesOf(process: SimProcess, disk: Disk): SegmentFiles {
  const { FileFault } = process.product;
  const { medium, world } = process;
  const open = (path: string): SegmentFile => {
    const node = process.find(path);
    if (!(node instanceof SimFile)) throw new FileFault("open", path, "ENOENT");
    if (node.size === 0) throw new FileFault("open", path, "EINVAL", "a segment file of 0 bytes");
    return new SimSegmentFile(path, node, process, disk);
  };
  const create = (path: string, capacity: number): SimFile => {
    process.alive();
    if (process.find(path) !== null) throw new FileFault("create", path, "EEXIST");
    const file = (disk.close(disk.open(path, "w+")), process.find(path) as SimFile);
    process.whole("allocate", path);
    file.resize(capacity);
    medium.touched(file);
    return file;
  };
  return {
    kind: "mapped",
    disk,
    create: (path, capacity) => new SimSegmentFile(path, create(path, capacity), process, disk),
    open,
    prepare: (path, capacity) =>
      new Promise((resolve, reject) => {
        world.after(world.random.fraction() * 10, () => {
          world.promised = true;
          try {
            const file = create(path, capacity);
            medium.beginSync(file)(false);
            medium.beginSync(process.directory(path.slice(0, path.lastIndexOf("/"))))(false);
            resolve(open(path));
          } catch (error) {
            reject(error);
          }
        });
      }),
    close: () => Promise.resolve(),
  };
}

class SimSegmentFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd: number;
  readonly #file: SimFile;
  readonly #process: SimProcess;
  readonly #disk: Disk;
  #closed = false;

  constructor(path: string, file: SimFile, process: SimProcess, disk: Disk) {
    this.path = path;
    this.capacity = file.size;
    this.fd = process.describe(file);
    this.#file = file;
    this.#process = process;
    this.#disk = disk;
  }

  write(at: number, source: Uint8Array, from: number, count: number): void {
    this.#check(at, count);
    this.#process.write(this.#file, this.path, source, from, count, at);
  }

  read(at: number, target: Uint8Array, to: number, count: number): void {
    this.#check(at, count);
    target.set(this.#file.cache.subarray(at, at + count), to);
  }

  rename(path: string): void {
    this.#check(0, 0);
    this.#disk.rename(this.path, path);
    this.path = path;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#process.release(this.fd);
  }

  #check(at: number, count: number): void {
    this.#process.alive();
    if (this.#closed) throw new Error(`${this.path} is closed`);
    if (at < 0 || count < 0 || at + count > this.capacity) throw new Error(`${this.path}: ${count} bytes at ${at}`);
  }
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
