// MQTT's data types (1.5): reading them out of a packet with every bound checked, and writing them.

import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import { malformed } from "./mqtt_packet.ts";
import { isMqttText, mqttText } from "./mqtt_text.ts";

const ENCODER = new TextEncoder();

/** Reads one packet from front to end. One object is pointed at packet after packet. */
export class MqttValues {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  end = 0;

  over(bytes: Uint8Array, at: number, size: number): this {
    this.bytes = bytes;
    this.at = at;
    this.end = at + size;
    return this;
  }

  get left(): number {
    return this.end - this.at;
  }

  uint8(): number {
    if (this.at >= this.end) throw cut();
    return this.bytes[this.at++]!;
  }

  uint16(): number {
    if (this.left < 2) throw cut();
    const at = this.at;
    this.at += 2;
    return this.bytes[at]! << 8 | this.bytes[at + 1]!;
  }

  uint32(): number {
    return this.uint16() * 0x1_0000 + this.uint16();
  }

  /** A variable byte integer, with no more octets than it needs [MQTT-1.5.5-1]. */
  variable(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const octet = this.uint8();
      value |= (octet & 0x7f) << shift;
      if (octet < 0x80) {
        if (octet === 0 && shift > 0) throw malformed("a variable byte integer with octets too many");
        return value;
      }
    }
    throw malformed("a variable byte integer of more than four octets");
  }

  text(): string {
    const size = this.uint16();
    if (size > this.left) throw cut();
    const { bytes, at } = this;
    if (!isMqttText(bytes, at, size)) throw malformed("a string that is not well-formed UTF-8, or has U+0000");
    this.at += size;
    return mqttText(bytes, at, size);
  }

  /** Valid as long as the packet. */
  binary(): Uint8Array {
    const size = this.uint16();
    if (size > this.left) throw cut();
    const at = this.at;
    this.at += size;
    return this.bytes.subarray(at, this.at);
  }

  finish(): void {
    if (this.at !== this.end) throw malformed(`a packet with ${this.left} octets too many`);
  }
}

function cut(): Error {
  return malformed("a packet that ends too early");
}

/** Octets of a variable byte integer. Hot. */
export function variableBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Writes a variable byte integer at `at`; returns its end. Hot. */
export function writeVariable(bytes: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    bytes[at++] = value & 0x7f | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

export function putVariable(out: OutBuffer, value: number): void {
  const at = out.reserve(variableBytes(value));
  writeVariable(out.bytes, at, value);
}

export function putUint8(out: OutBuffer, value: number): void {
  const at = out.reserve(1);
  out.bytes[at] = value;
}

export function putUint16(out: OutBuffer, value: number): void {
  const at = out.reserve(2);
  out.bytes[at] = value >>> 8;
  out.bytes[at + 1] = value;
}

export function putUint32(out: OutBuffer, value: number): void {
  const at = out.reserve(4);
  out.view.setUint32(at, value);
}

export function putText(out: OutBuffer, text: string): void {
  putBinary(out, ENCODER.encode(text));
}

export function putBinary(out: OutBuffer, bytes: Uint8Array): void {
  putUint16(out, bytes.length);
  const at = out.reserve(bytes.length);
  copyBytes(bytes, 0, out.bytes, at, bytes.length);
}
