// MQTT topics and AMQP routing keys: `/` is `.` and `+` is `*`. Two mappings are there, for what MQTT allows and AMQP has
// another meaning for: "rabbitmq" leaves dots alone, so `a.b` and `a/b` are one topic, as with RabbitMQ; "exact" swaps the
// characters, so that every MQTT topic stays itself and AMQP clients see a `/` for a dot in it.

const SLASH = 0x2f;
const DOT = 0x2e;
const PLUS = 0x2b;
const STAR = 0x2a;

export type MappingName = "rabbitmq" | "exact";

export class TopicMapping {
  /** Octet of a topic name to octet of a routing key. */
  readonly toKey = identity();
  /** Octet of a routing key to octet of a topic name. */
  readonly toTopic = identity();
  readonly #isExact: boolean;

  constructor(name: MappingName) {
    this.#isExact = name === "exact";
    this.toKey[SLASH] = DOT;
    this.toTopic[DOT] = SLASH;
    if (!this.#isExact) return;
    this.toKey[DOT] = SLASH;
    this.toTopic[SLASH] = DOT;
    this.toKey[STAR] = PLUS;
    this.toTopic[PLUS] = STAR;
    // Such a key is no topic name.
    this.toTopic[STAR] = PLUS;
  }

  keyOf(topic: string): string {
    return this.#isExact ? swapped(topic) : topic.replaceAll("/", ".");
  }

  topicOf(key: string): string {
    return this.#isExact ? swapped(key) : key.replaceAll(".", "/");
  }

  /** The binding key of a topic filter. */
  patternOf(filter: string): string {
    return this.#isExact ? swapped(filter) : filter.replaceAll("/", ".").replaceAll("+", "*");
  }
}

function identity(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => octet);
}

const SWAPS: Readonly<Record<string, string>> = { "/": ".", ".": "/", "+": "*", "*": "+" };

function swapped(text: string): string {
  return text.replace(/[/.+*]/g, (character) => SWAPS[character]!);
}
