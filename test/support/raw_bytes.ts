// AMQP 0-9-1 by hand: values, frames and their parsing, written from the specification and independent of src/wire, so
// that a mistake made there is not made here as well.

export const METHOD = 1;
export const HEADER = 2;
export const BODY = 3;
export const HEARTBEAT = 8;
export const FRAME_END = 0xce;
export const PROTOCOL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

export const octet = (value: number): Buffer => Buffer.from([value]);
export const short = (value: number): Buffer => Buffer.from([value >>> 8, value & 0xff]);

export function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function longlong(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([octet(bytes.length), bytes]);
}

export function longString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([long(bytes.length), bytes]);
}

/** Bits of one octet, the first the lowest. */
export const bits = (...values: boolean[]): Buffer =>
  octet(values.reduce((sum, value, index) => sum | (value ? 1 << index : 0), 0));

/** Bytes are a whole value: its letter and what follows it. */
export type TableValue = string | number | boolean | Uint8Array | Table;
export interface Table {
  readonly [key: string]: TableValue;
}

export function table(fields: Table): Buffer {
  return longString(Buffer.concat(
    Object.entries(fields).map(([key, value]) => {
      return Buffer.concat([shortString(key), tableValue(value)]);
    }),
  ));
}

function tableValue(value: TableValue): Buffer {
  if (typeof value === "string") return Buffer.concat([Buffer.from("S"), longString(value)]);
  if (typeof value === "boolean") return Buffer.concat([Buffer.from("t"), bits(value)]);
  if (typeof value === "number") return Buffer.concat([Buffer.from("I"), long(value >>> 0)]);
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.concat([Buffer.from("F"), table(value)]);
}

export function frame(type: number, channel: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  return Buffer.concat([octet(type), short(channel), long(payload.length), payload, octet(FRAME_END)]);
}

export function method(channel: number, classId: number, methodId: number, ...args: Uint8Array[]): Buffer {
  return frame(METHOD, channel, Buffer.concat([short(classId), short(methodId), ...args]));
}

export interface ContentOptions {
  /** Property list after the flags. */
  readonly flags?: number;
  readonly properties?: Uint8Array;
  readonly frameMax?: number;
  /** What the header announces, where that is not the truth. */
  readonly announced?: number | bigint;
}

export const PERSISTENT: ContentOptions = { flags: 1 << 12, properties: octet(2) };

export function contentHeader(channel: number, bodySize: number | bigint, options: ContentOptions = {}): Buffer {
  const { flags = 0, properties = new Uint8Array(0) } = options;
  return frame(HEADER, channel, Buffer.concat([short(60), short(0), longlong(bodySize), short(flags), properties]));
}

/** Header and body frames. */
export function content(channel: number, body: string | Uint8Array, options: ContentOptions = {}): Buffer {
  const bytes = Buffer.from(body as string);
  const payloadMax = (options.frameMax ?? 131_072) - 8;
  const frames = [contentHeader(channel, options.announced ?? bytes.length, options)];
  for (let at = 0; at < bytes.length; at += payloadMax) {
    frames.push(frame(BODY, channel, bytes.subarray(at, at + payloadMax)));
  }
  return Buffer.concat(frames);
}

/** Reads the values of a payload one behind the other. */
export class PayloadReader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  octet(): number {
    return this.bytes.readUInt8(this.#step(1));
  }

  short(): number {
    return this.bytes.readUInt16BE(this.#step(2));
  }

  long(): number {
    return this.bytes.readUInt32BE(this.#step(4));
  }

  longlong(): number {
    return Number(this.bytes.readBigUInt64BE(this.#step(8)));
  }

  shortString(): string {
    const count = this.octet();
    const at = this.#step(count);
    return this.bytes.toString("utf8", at, at + count);
  }

  longString(): string {
    const count = this.long();
    const at = this.#step(count);
    return this.bytes.toString("utf8", at, at + count);
  }

  #step(count: number): number {
    const at = this.at;
    this.at += count;
    return at;
  }
}

export class RawFrame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;

  constructor(type: number, channel: number, payload: Buffer) {
    this.type = type;
    this.channel = channel;
    this.payload = payload;
  }

  /** `60.40`, or the frame type where it is no method. */
  get name(): string {
    if (this.type !== METHOD) return ["", "", "header", "body"][this.type] ?? `type ${this.type}`;
    return `${this.payload.readUInt16BE(0)}.${this.payload.readUInt16BE(2)}`;
  }

  /** The method's arguments. */
  get args(): PayloadReader {
    return new PayloadReader(this.payload, 4);
  }
}

/** Takes the first whole frame off `bytes`; null when there is none. */
export function takeFrame(bytes: Buffer): { frame: RawFrame; rest: Buffer } | null {
  if (bytes.length < 8) return null;
  const size = bytes.readUInt32BE(3);
  if (bytes.length < size + 8) return null;
  if (bytes[size + 7] !== FRAME_END) throw new Error(`the broker's frame ends in ${bytes[size + 7]}`);
  const payload = Buffer.from(bytes.subarray(7, 7 + size));
  return { frame: new RawFrame(bytes[0]!, bytes.readUInt16BE(1), payload), rest: bytes.subarray(size + 8) };
}

/** Reproducible random numbers. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }
}
