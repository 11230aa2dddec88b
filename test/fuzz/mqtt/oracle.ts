// What a client is owed for what it says on a connection that is open: the answers, and how it ends.

import { Bad, framed, isText, nameOf, type Packet, packetOf, type Properties, type Version } from "./grammar.ts";

const TOPIC_BYTES_MAX = 255;
const TOPIC_LEVELS_MAX = 200;
const ALIASES_MAX = 256;
const BROKEN: readonly number[] = [0x81, 0x82];

/** `codes`: one of these is the reason, where the version has words for it. */
export type Ending = "open" | "goodbye" | { readonly codes: readonly number[] };

export interface Owed {
  /** PUBACK and PUBREC, in order: type and identifier. */
  readonly acks: string[];
  /** SUBACK and UNSUBACK, in order: type, identifier, number of codes. */
  readonly replies: string[];
  /** PUBREL and PUBCOMP, in order. */
  readonly releases: string[];
  pings: number;
  ending: Ending;
  /** What DISCONNECT said of the session. */
  expiry: number | null;
}

export interface OracleOptions {
  readonly version: Version;
  readonly packetBytesMax: number;
  /** Seconds that the session was to last when it was opened. */
  readonly expiry: number;
}

class Ended extends Error {
  readonly codes: readonly number[];

  constructor(...codes: number[]) {
    super();
    this.codes = codes;
  }
}

export function predict(stream: Uint8Array, options: OracleOptions): Owed {
  const owed: Owed = { acks: [], replies: [], releases: [], pings: 0, ending: "open", expiry: null };
  const listener = new Listener(options, owed);
  const { packets, broken } = framed(stream, options.packetBytesMax);
  try {
    for (const { first, body } of packets) {
      listener.hear(first, body);
      if (owed.ending !== "open") return owed;
    }
    if (broken !== "") throw new Ended(broken === "size" ? 0x95 : 0x81);
  } catch (error) {
    if (error instanceof Bad) owed.ending = { codes: BROKEN };
    else if (error instanceof Ended) owed.ending = { codes: error.codes };
    else throw error;
  }
  return owed;
}

class Listener {
  readonly #options: OracleOptions;
  readonly #owed: Owed;
  readonly #aliases = new Map<number, Uint8Array>();
  /** Messages with QoS 2 that were not released. */
  readonly #received = new Set<number>();

  constructor(options: OracleOptions, owed: Owed) {
    this.#options = options;
    this.#owed = owed;
  }

  hear(first: number, body: Uint8Array): void {
    const name = nameOf(first);
    const packet = packetOf(this.#options.version, first, body);
    const { acks, replies, releases } = this.#owed;
    switch (name) {
      case "PUBLISH":
        if (this.#publish(packet)) return;
        if (packet.qos === 1) acks.push(`puback ${packet.id}`);
        if (packet.qos === 2) acks.push(`pubrec ${packet.id}`);
        return;
      case "PUBREC":
        if (Number(packet.code) < 0x80) releases.push(`pubrel ${packet.id}`);
        return;
      case "PUBREL":
        this.#received.delete(Number(packet.id));
        return void releases.push(`pubcomp ${packet.id}`);
      case "SUBSCRIBE":
        return void replies.push(`suback ${packet.id} ${(packet.subscriptions as unknown[]).length}`);
      case "UNSUBSCRIBE": {
        const count = this.#options.version === 5 ? (packet.filters as unknown[]).length : 0;
        return void replies.push(`unsuback ${packet.id} ${count}`);
      }
      case "PINGREQ":
        this.#owed.pings++;
        return;
      case "DISCONNECT":
        return this.#disconnect(packet.properties as Properties);
      case "CONNECT":
        throw new Ended(0x82);
    }
  }

  #disconnect({ sessionExpiry }: Properties): void {
    if (this.#options.expiry === 0 && sessionExpiry !== undefined && sessionExpiry !== 0) throw new Ended(0x82);
    this.#owed.ending = "goodbye";
    this.#owed.expiry = sessionExpiry === undefined ? null : Number(sessionExpiry);
  }

  /** True when nothing more is to be said of it. */
  #publish(packet: Packet): boolean {
    const id = Number(packet.id);
    if (packet.qos === 2 && this.#received.has(id)) return false;
    const properties = packet.properties as Properties;
    if (properties.subscriptionIds !== undefined) throw new Ended(0x82);
    const response = properties.responseTopic as string | undefined;
    if (response !== undefined && (response === "" || /[+#]/.test(response))) throw new Ended(0x82);
    if (properties.payloadFormat === 1 && !isText(Uint8Array.from(packet.payload as number[]))) throw new Ended(0x99);
    const topic = this.#topicOf(Uint8Array.from(packet.topic as number[]), properties.topicAlias as number | undefined);
    const refused = topic.startsWith("$SYS/");
    // What MQTT 5 is told is refused holds no identifier.
    if (packet.qos === 2 && !(refused && this.#options.version === 5)) this.#received.add(id);
    return false;
  }

  #topicOf(given: Uint8Array, alias: number | undefined): string {
    let topic = given;
    if (alias !== undefined) {
      if (alias === 0 || alias > ALIASES_MAX) throw new Ended(0x94);
      if (given.length > 0) this.#aliases.set(alias, given);
      const known = this.#aliases.get(alias);
      if (known === undefined) throw new Ended(0x82);
      topic = known;
    }
    if (topic.length === 0) throw new Ended(0x82, 0x81);
    if (!isText(topic)) throw new Ended(0x81);
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(topic);
    if (/[+#]/.test(text) || topic.length > TOPIC_BYTES_MAX) throw new Ended(0x90);
    if (text.split("/").length > TOPIC_LEVELS_MAX) throw new Ended(0x90);
    return text;
  }
}
