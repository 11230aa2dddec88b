// x-consistent-hash: each message goes to one of the bindings, messages with the same key, header or property always to
// the same one. The binding's key is its weight.

import { textHash } from "../../lib/text_hash.ts";
import { HASH_WEIGHT_MAX, HASH_WEIGHTS_MAX } from "../../limits.ts";
import { PROPERTY_CORRELATION_ID, PROPERTY_MESSAGE_ID, PROPERTY_TIMESTAMP } from "../../wire/amqp_properties.ts";
import { type Arguments, describeType } from "../arguments.ts";
import { canonicalText } from "../canonical.ts";
import type { Binding, Destination } from "../exchange.ts";
import { Refusal } from "../refusal.ts";
import { HashRing, type HashTable, JumpTable } from "./hash_table.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

const PROPERTIES: ReadonlyMap<string, number> = new Map([
  ["correlation_id", PROPERTY_CORRELATION_ID],
  ["message_id", PROPERTY_MESSAGE_ID],
  ["timestamp", PROPERTY_TIMESTAMP],
]);

export class ConsistentHashMatcher implements Matcher {
  /** In the order of their making, which `jump` depends on. */
  readonly #bindings = new Set<Binding>();
  #weights = 0;
  /** Null when the bindings have changed since. */
  #table: HashTable<Destination> | null = null;
  readonly #isRing: boolean;
  /** What is hashed; null for both is the routing key. */
  readonly #header: string | null;
  readonly #property: number | null;

  /** `where` names the exchange in the texts of refusals. */
  constructor(args: Arguments, where: string) {
    const algorithm = textArgument(args, "x-algorithm", where)?.toLowerCase() ?? "ring";
    if (algorithm !== "ring" && algorithm !== "jump") {
      refuse(`invalid arg 'x-algorithm' for ${where}: expected ring or jump, found '${algorithm}'`);
    }
    this.#isRing = algorithm === "ring";
    const header = textArgument(args, "hash-header", where);
    const property = textArgument(args, "hash-property", where);
    if (header !== null && property !== null) refuse("hash-header and hash-property are mutually exclusive");
    if (property !== null && !PROPERTIES.has(property)) refuse(`Unsupported property: ${property}`);
    this.#property = property === null ? null : PROPERTIES.get(property)!;
    // LavinMQ's name for the same.
    this.#header = header ?? (property === null ? textArgument(args, "x-hash-on", where) : null);
  }

  check(routingKey: string): void {
    if (!/^[+-]?\d+$/.test(routingKey)) refuse(`The binding key must be an integer: <<"${routingKey}">>`);
    const weight = weightOf(routingKey);
    if (weight < 1) refuse("The binding key must be greater than 0");
    if (weight > HASH_WEIGHT_MAX) refuse(`The binding key must be at most ${HASH_WEIGHT_MAX}`);
    if (this.#weights + weight > HASH_WEIGHTS_MAX) {
      refuse(`The binding keys of one exchange must be at most ${HASH_WEIGHTS_MAX} in sum`);
    }
  }

  add(binding: Binding): void {
    this.#bindings.add(binding);
    this.#weights += weightOf(binding.routingKey);
    this.#table = null;
  }

  remove(binding: Binding): void {
    if (!this.#bindings.delete(binding)) return;
    this.#weights -= weightOf(binding.routingKey);
    this.#table = null;
  }

  match(routing: Routing, visit: (destination: Destination) => void): void {
    this.#table ??= this.#build();
    const destination = this.#table.pick(textHash(this.#textOf(routing)));
    if (destination !== null) visit(destination);
  }

  #build(): HashTable<Destination> {
    const targets = [...this.#bindings].map(({ destination, routingKey }) => ({
      name: `${destination.kind}:${destination.name}`,
      weight: weightOf(routingKey),
      value: destination,
    }));
    return this.#isRing ? new HashRing(targets) : new JumpTable(targets);
  }

  /** A message without the header or property goes the way of an empty one. Keys added by CC have no say. */
  #textOf(routing: Routing): string {
    if (this.#property !== null) return routing.propertyText(this.#property);
    if (this.#header === null) return routing.keys[0] ?? "";
    const field = routing.headers?.get(this.#header);
    return field === undefined ? "" : canonicalText(field);
  }
}

function weightOf(routingKey: string): number {
  return Number(routingKey);
}

function textArgument(args: Arguments, name: string, where: string): string | null {
  const value = args.get(name);
  if (value === undefined) return null;
  if (typeof value !== "string") refuse(`invalid type '${describeType(value)}' for arg '${name}' in ${where}`);
  return value;
}

function refuse(text: string): never {
  throw new Refusal("precondition-failed", text);
}
