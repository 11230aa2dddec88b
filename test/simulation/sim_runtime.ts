// The runtime that a simulated broker runs on: the loopback network, and the disk of one simulated process.

import type { Disk } from "../../src/runtime/disk.ts";
import type {
  Address,
  Conn,
  ConnHandler,
  FileLock,
  Listener,
  Runtime,
  SegmentFiles,
  Syncer,
} from "../../src/runtime/runtime.ts";
import type { SimProcess } from "./process.ts";
import { diskOf } from "./process_disk.ts";
import { segmentFilesOf } from "./process_files.ts";

export class SimRuntime implements Runtime {
  readonly name = "loopback";
  readonly disk: Disk;
  readonly #process: SimProcess;
  readonly #files: SegmentFiles;
  readonly #network: Runtime;

  /** `kernelBytes`: what one direction of a connection holds in transit. */
  constructor(process: SimProcess, kernelBytes: number) {
    this.#process = process;
    this.disk = diskOf(process);
    this.#files = segmentFilesOf(process, this.disk);
    const chunkBytesMax = process.world.random.pick([kernelBytes, 1024, 4096]);
    this.#network = new process.product.LoopbackRuntime({ kernelBytes, chunkBytesMax });
  }

  listen(address: Address, accept: (conn: Conn) => ConnHandler): Promise<Listener> {
    return this.#network.listen(address, accept);
  }

  connect(address: Address, handler: (conn: Conn) => ConnHandler): Promise<Conn> {
    return this.#network.connect(address, handler);
  }

  mappedFiles(): SegmentFiles {
    return this.#files;
  }

  plainFiles(): SegmentFiles {
    return this.#files;
  }

  startSyncer(): Syncer {
    return this.#process.startSyncer();
  }

  lock(path: string): FileLock | null {
    return this.#process.lock(path);
  }

  lockFound(path: string): FileLock | null {
    return this.#process.lock(path);
  }
}
