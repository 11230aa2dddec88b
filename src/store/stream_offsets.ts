// How far named consumers of a stream came: a map in memory, and a small log of its changes. Of several entries with
// one name the last holds. Written at the end of the turn, synced when there is time: what a power cut takes is read
// once more.
//
//   +--------+-----+-----+--------+-------+----------+
//   | "LVOF" | u16 | u16 | u32    | u32   | u32      |    header, 20 bytes: its own length, queue id, a nonce;
//   |        | ver | 20  | queue  | nonce | checksum |    checksum of bytes 0..15, seed 0
//   +--------+-----+-----+--------+-------+----------+
//   +----------+-----+----------+------+
//   | u32      | u8  | u48      | name |    entry: checksum of all behind it, seed = nonce; offset of the next message
//   | checksum | n   | offset   |      |    to read; n bytes of name
//   +----------+-----+----------+------+

import { isDiskFull } from "../lib/disk_full.ts";
import { STREAM_OFFSETS_MAX } from "../limits.ts";
import type { Disk } from "../runtime/disk.ts";
import { xxh32 } from "./checksum.ts";
import { readFound } from "./found_file.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { StoreFault } from "./store_event.ts";

const MAGIC = 0x464f564c; // "LVOF"
const VERSION = 1;
const HEADER_BYTES = 20;
const ENTRY_HEAD_BYTES = 11;
const NAME_BYTES_MAX = 255;
/** Several times what a log ever holds. */
const READ_BYTES_MAX = 64 * 1024 * 1024;
/** A log that is shorter is not worth compacting. */
const COMPACT_BYTES_MIN = 64 * 1024;

const encoder = new TextEncoder();
/** A name that begins with a mark of the order of bytes keeps it. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class StreamOffsets {
  /** "" in memory. */
  readonly #path: string;
  readonly #queueId: number;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  /** The name that moved last is the last one. */
  readonly #offsets = new Map<string, number>();
  /** Moved in this turn, or not written since. */
  readonly #changed = new Set<string>();
  #fd = -1;
  #bytes = 0;
  #nonce = 0;
  /** A write failed; the operator has been told. */
  #delayed = false;

  constructor(path: string, queueId: number, directory: QueueDirectory, host: QueueStoreHost) {
    this.#path = path;
    this.#directory = directory;
    this.#queueId = queueId;
    this.#host = host;
    if (path !== "") this.#read();
  }

  get count(): number {
    return this.#offsets.size;
  }

  /** The offset of the message that is next for this consumer, null when nothing is known of it. */
  get(name: string): number | null {
    return this.#offsets.get(name) ?? null;
  }

  set(name: string, offset: number): void {
    this.#keep(name, offset);
    if (this.#path !== "") this.#changed.add(name);
  }

  /** As the last one; the one that has not moved for longest goes when there are too many. */
  #keep(name: string, offset: number): void {
    this.#offsets.delete(name);
    this.#offsets.set(name, offset);
    if (this.#offsets.size <= STREAM_OFFSETS_MAX) return;
    const [oldest] = this.#offsets.keys();
    this.#offsets.delete(oldest!);
    this.#changed.delete(oldest!);
  }

  /** End of turn. */
  flush(): void {
    if (this.#changed.size === 0) return;
    const entries = this.#encode(this.#changed);
    const write = (): void => {
      if (this.#bytes === 0 || this.#bytes + entries.length > this.#bytesMax()) this.#rewrite();
      else this.#append(entries);
    };
    let problem = this.#attempt(write);
    if (problem !== null && isDiskFull({ code: problem }) && this.#host.space?.makeRoom()) {
      problem = this.#attempt(write);
    }
    if (problem === null) {
      this.#changed.clear();
      this.#delayed = false;
    } else if (!this.#delayed) {
      this.#delayed = true;
      const detail = `offsets of consumers were not written: ${problem}`;
      this.#host.report({ kind: "acks-delayed", path: this.#path, offset: this.#bytes, bytes: entries.length, detail });
    }
  }

  /** Closes the file, until the next write. */
  cool(forget = false): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    this.#host.commit.release(fd, forget, () => this.#host.files.disk.close(fd));
  }

  /** Several times what is live, so that compacting costs little of what is written. */
  #bytesMax(): number {
    return Math.max(COMPACT_BYTES_MIN, 4 * this.#offsets.size * (ENTRY_HEAD_BYTES + 32));
  }

  #append(entries: Uint8Array): void {
    if (this.#fd < 0) this.#fd = this.#host.files.disk.open(this.#path, "r+");
    writeAll(this.#host.files.disk, this.#fd, entries, this.#bytes);
    this.#bytes += entries.length;
    this.#host.commit.dirtyLazily(this.#fd);
  }

  /** A new file in place of the old one, with what is live. */
  #rewrite(): void {
    const nonce = crypto.getRandomValues(new Int32Array(1))[0]!;
    const header = new Uint8Array(HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint16(4, VERSION, true);
    view.setUint16(6, HEADER_BYTES, true);
    view.setUint32(8, this.#queueId, true);
    view.setInt32(12, nonce, true);
    view.setInt32(16, xxh32(header, 0, 16, 0), true);
    this.#nonce = nonce;
    const entries = this.#encode(this.#offsets.keys());
    const { disk } = this.#host.files;
    const path = `${this.#path}.new`;
    const fd = disk.open(path, "w+");
    try {
      writeAll(disk, fd, header, 0);
      writeAll(disk, fd, entries, HEADER_BYTES);
      // Before it takes the place of the old one, which is in use. The first one replaces nothing.
      if (this.#bytes > 0) disk.sync(fd);
      disk.rename(path, this.#path);
    } catch (error) {
      disk.close(fd);
      disk.remove(path);
      this.#bytes = 0;
      throw error;
    }
    this.cool(true);
    this.#fd = fd;
    this.#bytes = HEADER_BYTES + entries.length;
    this.#host.commit.dirtyLazily(fd);
    this.#directory.entriesChanged(true);
  }

  #encode(names: Iterable<string>): Uint8Array {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (const name of names) {
      const text = encoder.encode(name).subarray(0, NAME_BYTES_MAX);
      const entry = new Uint8Array(ENTRY_HEAD_BYTES + text.length);
      const view = new DataView(entry.buffer);
      const offset = this.#offsets.get(name)!;
      entry[4] = text.length;
      view.setUint32(5, offset % 2 ** 32, true);
      view.setUint16(9, Math.floor(offset / 2 ** 32), true);
      entry.set(text, ENTRY_HEAD_BYTES);
      view.setInt32(0, xxh32(entry, 4, entry.length - 4, this.#nonce), true);
      parts.push(entry);
      total += entry.length;
    }
    const bytes = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #read(): void {
    const { disk } = this.#host.files;
    if (this.#directory.repairs) disk.remove(`${this.#path}.new`);
    const bytes = readFound(disk, this.#path, READ_BYTES_MAX);
    // A power cut may leave a name without a file behind it.
    if (bytes === null || bytes.length === 0) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const headed = bytes.length >= HEADER_BYTES && view.getInt32(16, true) === xxh32(bytes, 0, 16, 0);
    if (headed) {
      const version = view.getUint16(4, true);
      if (view.getUint32(0, true) !== MAGIC || version !== VERSION) {
        throw new StoreFault(this.#path, `version ${VERSION} of offset logs was expected, ${version} was found`);
      }
    }
    const isOurs = !headed || view.getUint32(8, true) === this.#queueId;
    if (!isOurs || bytes.length < HEADER_BYTES) {
      this.#reportDamage(0, bytes.length);
      return this.#heal();
    }
    if (!headed) this.#reportDamage(0, HEADER_BYTES);
    this.#nonce = headed ? view.getInt32(12, true) : this.#likelyNonce(bytes, view);
    let at = HEADER_BYTES;
    let damagedFrom = -1;
    let damaged = !headed;
    while (at < bytes.length) {
      const length = this.#readEntry(bytes, view, at);
      if (length > 0 && damagedFrom >= 0) {
        this.#reportDamage(damagedFrom, at - damagedFrom);
        damagedFrom = -1;
        damaged = true;
      }
      if (length === 0 && damagedFrom < 0) damagedFrom = at;
      at += length === 0 ? 1 : length;
    }
    if (damagedFrom >= 0) {
      this.#reportTail(damagedFrom, bytes.length - damagedFrom);
      damaged = true;
    }
    this.#bytes = damagedFrom < 0 ? bytes.length : damagedFrom;
    if (damaged) this.#heal();
  }

  /** What is intact, without what is not: so that damage is told once. A full disk leaves it as it is. */
  #heal(): void {
    if (this.#directory.repairs) this.#attempt(() => this.#rewrite());
  }

  /** The header is damaged: its nonce, or one that differs in a bit, is that of the first entry. */
  #likelyNonce(bytes: Uint8Array, view: DataView): number {
    const found = view.getInt32(12, true);
    const length = ENTRY_HEAD_BYTES + (bytes[HEADER_BYTES + 4] ?? 0);
    if (HEADER_BYTES + length > bytes.length) return found;
    const checksum = view.getInt32(HEADER_BYTES, true);
    for (let bit = 0; bit < 32; bit++) {
      const nonce = found ^ (1 << bit);
      if (xxh32(bytes, HEADER_BYTES + 4, length - 4, nonce) === checksum) return nonce;
    }
    return found;
  }

  /** The length of the entry at `at`, 0 when none is there. */
  #readEntry(bytes: Uint8Array, view: DataView, at: number): number {
    if (at + ENTRY_HEAD_BYTES > bytes.length) return 0;
    const length = ENTRY_HEAD_BYTES + bytes[at + 4]!;
    if (at + length > bytes.length) return 0;
    if (view.getInt32(at, true) !== xxh32(bytes, at + 4, length - 4, this.#nonce)) return 0;
    const name = decoder.decode(bytes.subarray(at + ENTRY_HEAD_BYTES, at + length));
    this.#keep(name, view.getUint32(at + 5, true) + view.getUint16(at + 9, true) * 2 ** 32);
    return length;
  }

  #reportDamage(offset: number, bytes: number): void {
    const detail = "entries of the log of consumers' offsets are not intact";
    this.#host.report({ kind: "damaged-acks", path: this.#path, offset, bytes, detail });
  }

  #reportTail(offset: number, bytes: number): void {
    const detail = "the last entry is not whole, cut";
    this.#host.report({ kind: "torn-tail", path: this.#path, offset, bytes, detail });
  }

  /** What went wrong for want of room or descriptors; null when nothing did. */
  #attempt(work: () => void): string | null {
    try {
      work();
      return null;
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === "ENOSPC" || code === "EDQUOT" || code === "EMFILE" || code === "ENFILE") return code;
      throw error;
    }
  }
}

function writeAll(disk: Disk, fd: number, bytes: Uint8Array, position: number): void {
  if (bytes.length === 0) return;
  // A full disk shows as a short write on some runtimes, as an exception on others.
  const written = disk.write(fd, bytes, 0, bytes.length, position);
  if (written === bytes.length) return;
  throw Object.assign(new Error(`${written} of ${bytes.length} bytes written`), { code: "ENOSPC" });
}
