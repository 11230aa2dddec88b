// Segment files of one simulated process: as with mapped ones, a write is in the page cache when it returns.

import type { Disk } from "../../src/runtime/disk.ts";
import type { SegmentFile, SegmentFiles } from "../../src/runtime/runtime.ts";
import type { SimProcess } from "./process.ts";
import { SimFile } from "./sim_disk.ts";

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
