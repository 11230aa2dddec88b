// MQTT's packets as clients may send them, read by a grammar of its own: what src/wire is compared with. Slow and plain.

/** The packet breaks the rules. */
export class Bad extends Error {}

export type Version = 3 | 4 | 5;
export type Properties = Record<string, unknown>;

type Kind = "bit" | "u16" | "u16+" | "u32" | "u32+" | "ids" | "text" | "bytes" | "pairs";

/** Identifier, our name for it, how it is written, where it may stand. W is a will. */
const PROPERTIES: Readonly<Record<number, readonly [name: string, kind: Kind, where: string]>> = {
  0x01: ["payloadFormat", "bit", "PUBLISH W"],
  0x02: ["messageExpiry", "u32", "PUBLISH W"],
  0x03: ["contentType", "text", "PUBLISH W"],
  0x08: ["responseTopic", "text", "PUBLISH W"],
  0x09: ["correlationData", "bytes", "PUBLISH W"],
  0x0b: ["subscriptionIds", "ids", "PUBLISH SUBSCRIBE"],
  0x11: ["sessionExpiry", "u32", "CONNECT DISCONNECT"],
  0x15: ["authenticationMethod", "text", "CONNECT"],
  0x16: ["authenticationData", "bytes", "CONNECT"],
  0x17: ["requestProblemInformation", "bit", "CONNECT"],
  0x18: ["willDelay", "u32", "W"],
  0x19: ["requestResponseInformation", "bit", "CONNECT"],
  0x1f: ["reasonString", "text", "PUBACK PUBREC PUBREL PUBCOMP DISCONNECT"],
  0x21: ["receiveMaximum", "u16+", "CONNECT"],
  0x22: ["topicAliasMaximum", "u16", "CONNECT"],
  0x23: ["topicAlias", "u16", "PUBLISH"],
  0x26: ["userProperties", "pairs", "PUBLISH W CONNECT DISCONNECT SUBSCRIBE UNSUBSCRIBE PUBACK PUBREC PUBREL PUBCOMP"],
  0x27: ["maximumPacketSize", "u32+", "CONNECT"],
};

class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new Bad("cut");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(width: number): number {
    return this.take(width).reduce((sum, octet) => sum * 256 + octet, 0);
  }

  variable(): number {
    let value = 0;
    for (let index = 0; index < 4; index++) {
      const octet = this.number(1);
      value += (octet % 128) * 128 ** index;
      if (octet >= 128) continue;
      if (octet === 0 && index > 0) throw new Bad("an octet too many");
      return value;
    }
    throw new Bad("five octets");
  }

  bytes(): Uint8Array {
    return this.take(this.number(2)).slice();
  }

  text(): string {
    return textOf(this.bytes());
  }

  end(): void {
    if (this.left > 0) throw new Bad("octets too many");
  }
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws where MQTT has no such text. */
export function textOf(bytes: Uint8Array): string {
  let text: string;
  try {
    text = STRICT.decode(bytes);
  } catch {
    throw new Bad("no UTF-8");
  }
  if (text.includes("\0")) throw new Bad("U+0000");
  return text;
}

export function isText(bytes: Uint8Array): boolean {
  try {
    textOf(bytes);
    return true;
  } catch {
    return false;
  }
}

function propertiesAt(cursor: Cursor, where: string): Properties {
  const inside = new Cursor(cursor.take(cursor.variable()));
  const found: Properties = {};
  while (inside.left > 0) {
    const definition = PROPERTIES[inside.variable()];
    if (definition === undefined || !definition[2].split(" ").includes(where)) throw new Bad("not here");
    const [name, kind] = definition;
    if (kind === "pairs") {
      ((found[name] ??= []) as unknown[]).push([inside.text(), inside.text()]);
      continue;
    }
    const value = valueAt(inside, kind);
    if (kind === "ids" && where === "PUBLISH") {
      ((found[name] ??= []) as unknown[]).push(value);
      continue;
    }
    if (name in found) throw new Bad("twice");
    found[name] = kind === "ids" ? [value] : value;
  }
  return found;
}

function valueAt(cursor: Cursor, kind: Exclude<Kind, "pairs">): unknown {
  if (kind === "text") return cursor.text();
  if (kind === "bytes") return [...cursor.bytes()];
  const value = kind === "ids" ? cursor.variable() : cursor.number(kind === "bit" ? 1 : kind.startsWith("u16") ? 2 : 4);
  if ((kind === "ids" || kind.endsWith("+")) && value === 0) throw new Bad("0");
  if (kind === "bit" && value > 1) throw new Bad("neither 0 nor 1");
  return value;
}

/** A packet's type by its number. */
const NAMES = ("- CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ " +
  "PINGRESP DISCONNECT AUTH").split(" ");

export function nameOf(first: number): string {
  return NAMES[first >> 4]!;
}

export type Packet = Record<string, unknown>;

/** What a packet says, by our decoders' names; throws Bad where it breaks the rules. */
export function packetOf(version: Version, first: number, body: Uint8Array): Packet {
  const name = nameOf(first);
  const cursor = new Cursor(body);
  if (name === "PUBLISH") return publishOf(version, first, cursor);
  if (first % 16 !== (["PUBREL", "SUBSCRIBE", "UNSUBSCRIBE"].includes(name) ? 2 : 0)) throw new Bad("flags");
  const packet = otherOf(version, name, cursor);
  cursor.end();
  return packet;
}

function otherOf(version: Version, name: string, cursor: Cursor): Packet {
  const five = version === 5;
  switch (name) {
    case "CONNECT":
      return connectOf(cursor);
    case "PUBACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP": {
      const id = idAt(cursor);
      const code = five && cursor.left > 0 ? cursor.number(1) : 0;
      if (five && cursor.left > 0) propertiesAt(cursor, name);
      return { id, code };
    }
    case "SUBSCRIBE": {
      const id = idAt(cursor);
      const ids = (five ? propertiesAt(cursor, name).subscriptionIds : undefined) as number[] | undefined;
      const subscriptions: Packet[] = [];
      do subscriptions.push(subscriptionAt(cursor, five)); while (cursor.left > 0);
      return { id, subscriptions, subscriptionId: ids?.[0] ?? 0 };
    }
    case "UNSUBSCRIBE": {
      const id = idAt(cursor);
      if (five) propertiesAt(cursor, name);
      const filters: string[] = [];
      do filters.push(cursor.text()); while (cursor.left > 0);
      return { id, filters };
    }
    case "PINGREQ":
      return {};
    case "DISCONNECT": {
      const code = five && cursor.left > 0 ? cursor.number(1) : 0;
      return { code, properties: five && cursor.left > 0 ? propertiesAt(cursor, name) : {} };
    }
    default:
      throw new Bad("not from a client");
  }
}

function idAt(cursor: Cursor): number {
  const id = cursor.number(2);
  if (id === 0) throw new Bad("identifier 0");
  return id;
}

function subscriptionAt(cursor: Cursor, five: boolean): Packet {
  const filter = cursor.text();
  const options = cursor.number(1);
  const [qos, handling] = [options % 4, (options >> 4) % 4];
  if (qos === 3 || handling === 3 || options >= 64 || (!five && options > 2)) throw new Bad("options");
  const noLocal = (options & 4) > 0;
  if (noLocal && filter.startsWith("$share/")) throw new Bad("no-local");
  return { filter, qos, noLocal, retainAsPublished: (options & 8) > 0, retainHandling: handling };
}

function publishOf(version: Version, first: number, cursor: Cursor): Packet {
  const [dup, qos, retain] = [(first & 8) > 0, (first >> 1) % 4, first % 2 === 1];
  if (qos === 3 || (qos === 0 && dup)) throw new Bad("flags");
  const topic = [...cursor.bytes()];
  const id = qos > 0 ? idAt(cursor) : 0;
  const properties = version === 5 ? propertiesAt(cursor, "PUBLISH") : {};
  return { dup, qos, retain, topic, id, properties, payload: [...cursor.take(cursor.left)] };
}

function connectOf(cursor: Cursor): Packet {
  const protocol = cursor.text();
  const level = cursor.number(1) % 128;
  if (!(protocol === "MQIsdp" ? level === 3 : protocol === "MQTT" && (level === 4 || level === 5))) {
    throw new Bad("version");
  }
  const flags = cursor.number(1);
  const [hasName, hasPassword, hasWill] = [(flags & 128) > 0, (flags & 64) > 0, (flags & 4) > 0];
  const qos = (flags >> 3) % 4;
  if (flags % 2 === 1 || qos === 3 || (!hasWill && (flags & 0x38) > 0)) throw new Bad("flags");
  if (hasPassword && !hasName && level < 5) throw new Bad("a password alone");
  const keepAlive = cursor.number(2);
  const properties = level === 5 ? propertiesAt(cursor, "CONNECT") : {};
  if ("authenticationData" in properties && !("authenticationMethod" in properties)) throw new Bad("data alone");
  const clientId = cursor.text();
  let will: Packet | null = null;
  if (hasWill) {
    const own = level === 5 ? propertiesAt(cursor, "W") : {};
    const [topic, payload] = [cursor.text(), cursor.bytes()];
    if (topic === "" || /[+#]/.test(topic)) throw new Bad("topic");
    if (own.payloadFormat === 1 && !isText(payload)) throw new Bad("payload");
    will = { topic, payload: [...payload], qos, retain: (flags & 32) > 0, properties: own };
  }
  const userName = hasName ? cursor.text() : null;
  const password = hasPassword ? [...cursor.bytes()] : null;
  return { version: level, cleanStart: (flags & 2) > 0, keepAlive, clientId, will, userName, password, properties };
}

/** Packets that are whole, and what is left: octets, or that no packet can follow any more. */
export interface Framed {
  readonly packets: { readonly first: number; readonly body: Uint8Array; readonly octets: Uint8Array }[];
  readonly rest: Uint8Array;
  readonly broken: "" | "length" | "size";
}

export function framed(stream: Uint8Array, packetBytesMax: number): Framed {
  const packets: Framed["packets"] = [];
  let at = 0;
  while (at < stream.length) {
    let size = 0;
    let octets = 1;
    for (;; octets++) {
      if (octets === 5) return { packets, rest: stream.subarray(at), broken: "length" };
      const octet = stream[at + octets];
      if (octet === undefined) return { packets, rest: stream.subarray(at), broken: "" };
      size += (octet % 128) * 128 ** (octets - 1);
      if (octet < 128) break;
    }
    const from = at + octets + 1;
    if (octets + 1 + size > packetBytesMax) return { packets, rest: stream.subarray(at), broken: "size" };
    if (from + size > stream.length) break;
    packets.push({
      first: stream[at]!,
      body: stream.subarray(from, from + size),
      octets: stream.subarray(at, from + size),
    });
    at = from + size;
  }
  return { packets, rest: stream.subarray(at), broken: "" };
}
