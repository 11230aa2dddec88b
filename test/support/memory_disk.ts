// A disk in memory, for tests that break files by the ten thousand: files and segment files by their paths, nothing ever
// lost or refused. Its content can be taken and put back.

import { dirname, join } from "node:path";
import type { Disk, DiskEntry, Stat } from "../../src/runtime/disk.ts";
import type { SegmentFile, SegmentFiles } from "../../src/runtime/runtime.ts";

class Content {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  read(to: Uint8Array, from: number, count: number, at: number): number {
    const piece = this.bytes.subarray(at, at + count);
    to.set(piece, from);
    return piece.length;
  }

  write(source: Uint8Array, from: number, count: number, at: number): void {
    if (at + count > this.bytes.length) this.resize(at + count);
    this.bytes.set(source.subarray(from, from + count), at);
  }

  resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
  }
}

function fault(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

export class MemoryDisk implements Disk {
  readonly segmentFiles: SegmentFiles = new DiskFiles(this);
  readonly #files = new Map<string, Content>();
  readonly #directories = new Set<string>(["/"]);
  readonly #open = new Map<number, Content>();
  #lastFd = 2;

  /** Every file with what is in it. */
  content(): Map<string, Uint8Array> {
    return new Map([...this.#files].map(([path, { bytes }]) => [path, bytes.slice()]));
  }

  /** Holds exactly these files from now on; nothing is open. */
  restore(content: ReadonlyMap<string, Uint8Array>): void {
    this.#files.clear();
    this.#directories.clear();
    this.#open.clear();
    for (const [path, bytes] of content) {
      this.#makeAll(dirname(path));
      this.#files.set(path, new Content(bytes.slice()));
    }
  }

  /** What fails leaves nothing open. */
  get openCount(): number {
    return this.#open.size;
  }

  file(path: string): Content {
    const found = this.#files.get(path);
    if (found === undefined) throw fault("ENOENT", path);
    return found;
  }

  create(path: string, bytes: number): Content {
    if (this.#files.has(path)) throw fault("EEXIST", path);
    return this.#put(path, new Uint8Array(bytes));
  }

  hold(content: Content): number {
    this.#open.set(++this.#lastFd, content);
    return this.#lastFd;
  }

  open(path: string, flags: "r" | "r+" | "w+"): number {
    if (flags === "w+") return this.hold(this.#put(path, new Uint8Array(0)));
    return this.hold(this.#directories.has(path) ? new Content(new Uint8Array(0)) : this.file(path));
  }

  close(fd: number): void {
    if (!this.#open.delete(fd)) throw fault("EBADF", String(fd));
  }

  read(fd: number, bytes: Uint8Array, to: number, count: number, at: number): number {
    return this.#at(fd).read(bytes, to, count, at);
  }

  write(fd: number, bytes: Uint8Array, from: number, count: number, at: number): number {
    this.#at(fd).write(bytes, from, count, at);
    return count;
  }

  truncate(fd: number, bytes: number): void {
    this.#at(fd).resize(bytes);
  }

  sync(fd: number): void {
    this.#at(fd);
  }

  readFile(path: string): Uint8Array | null {
    return this.#files.get(path)?.bytes.slice() ?? null;
  }

  writeFile(path: string, bytes: Uint8Array): void {
    this.#put(path, bytes.slice());
  }

  copyFile(path: string, to: string): void {
    if (this.#files.has(to)) throw fault("EEXIST", to);
    this.#put(to, this.file(path).bytes.slice());
  }

  stat(path: string): Stat | null {
    if (this.#directories.has(path)) return { isDirectory: true, bytes: 0 };
    const found = this.#files.get(path);
    return found === undefined ? null : { isDirectory: false, bytes: found.bytes.length };
  }

  rename(from: string, to: string): void {
    if (this.#directories.delete(from)) {
      this.#makeAll(to);
      for (const path of [...this.#files.keys()].filter((path) => path.startsWith(`${from}/`))) {
        this.#move(path, to + path.slice(from.length));
      }
    } else {
      this.#move(from, to);
    }
  }

  link(path: string, to: string): void {
    if (this.#files.has(to)) throw fault("EEXIST", to);
    this.#files.set(to, this.file(path));
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  makeDirectory(path: string): string | null {
    return this.#makeAll(path);
  }

  makePrivate(): void {}

  list(path: string): string[] {
    return this.entries(path).map(({ name }) => name);
  }

  entries(path: string): DiskEntry[] {
    if (!this.#directories.has(path)) throw fault("ENOENT", path);
    const inside = (other: string) => other !== path && dirname(other) === path;
    const name = (other: string) => other.slice(path.length + 1);
    return [
      ...[...this.#directories].filter(inside).map((other) => ({ name: name(other), kind: "directory" as const })),
      ...[...this.#files.keys()].filter(inside).map((other) => ({ name: name(other), kind: "file" as const })),
    ];
  }

  listDirectories(path: string): string[] {
    return this.entries(path).filter(({ kind }) => kind === "directory").map(({ name }) => name);
  }

  removeTree(path: string): void {
    const isBelow = (other: string) => other === path || other.startsWith(`${path}/`);
    for (const other of [...this.#files.keys()].filter(isBelow)) this.#files.delete(other);
    for (const other of [...this.#directories].filter(isBelow)) this.#directories.delete(other);
  }

  syncDirectory(): void {}

  freeBytes(): number {
    return 2 ** 40;
  }

  #at(fd: number): Content {
    const content = this.#open.get(fd);
    if (content === undefined) throw fault("EBADF", String(fd));
    return content;
  }

  #put(path: string, bytes: Uint8Array): Content {
    if (!this.#directories.has(dirname(path))) throw fault("ENOENT", path);
    const found = this.#files.get(path) ?? new Content(bytes);
    found.bytes = bytes;
    this.#files.set(path, found);
    return found;
  }

  #move(from: string, to: string): void {
    const content = this.file(from);
    this.#files.delete(from);
    this.#files.set(to, content);
  }

  #makeAll(path: string): string | null {
    if (this.#directories.has(path)) return null;
    const above = dirname(path) === path ? null : this.#makeAll(dirname(path));
    this.#directories.add(path);
    return above ?? path;
  }
}

class DiskFiles implements SegmentFiles {
  readonly kind = "plain";
  readonly disk: MemoryDisk;

  constructor(disk: MemoryDisk) {
    this.disk = disk;
  }

  create(path: string, capacity: number): SegmentFile {
    return new DiskFile(this.disk, path, this.disk.create(path, capacity));
  }

  open(path: string): SegmentFile {
    return new DiskFile(this.disk, path, this.disk.file(path));
  }

  prepare(path: string, capacity: number): Promise<SegmentFile> {
    return Promise.resolve(this.create(path, capacity));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class DiskFile implements SegmentFile {
  path: string;
  readonly fd: number;
  readonly capacity: number;
  readonly #disk: MemoryDisk;
  readonly #content: Content;
  #closed = false;

  constructor(disk: MemoryDisk, path: string, content: Content) {
    this.path = path;
    this.fd = disk.hold(content);
    this.capacity = content.bytes.length;
    this.#disk = disk;
    this.#content = content;
  }

  write(at: number, source: Uint8Array, from: number, count: number): void {
    this.#check(at, count);
    this.#content.write(source, from, count, at);
  }

  read(at: number, target: Uint8Array, to: number, count: number): void {
    this.#check(at, count);
    this.#content.read(target, to, count, at);
  }

  rename(path: string): void {
    this.#disk.rename(this.path, path);
    this.path = path;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#disk.close(this.fd);
  }

  #check(at: number, count: number): void {
    if (this.#closed || at < 0 || at + count > this.capacity) {
      throw new Error(`${this.path}: ${count} bytes at ${at} of ${this.#closed ? "a closed file" : this.capacity}`);
    }
  }
}

/** The directory of a queue on such a disk. */
export function queuePath(id: number): string {
  return join("/data/queues", String(id).padStart(10, "0"));
}
