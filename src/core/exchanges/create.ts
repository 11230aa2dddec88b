// From a declaration to an exchange: which types there are, and what their arguments have to be.

import { type Arguments, describeType } from "../arguments.ts";
import { Deduplication } from "../deduplication.ts";
import { Exchange, type ExchangeDeclaration } from "../exchange.ts";
import { Refusal } from "../refusal.ts";
import { ConsistentHashMatcher } from "./consistent_hash.ts";
import { DELAYED_TYPE, DelayedMatcher, innerTypeOf } from "./delayed.ts";
import { DirectMatcher } from "./direct.ts";
import { FanoutMatcher } from "./fanout.ts";
import { HeadersMatcher } from "./headers.ts";
import type { Matcher } from "./matcher.ts";
import { TopicMatcher } from "./topic.ts";

type MakeMatcher = (args: Arguments, where: string) => Matcher;

const MATCHERS: ReadonlyMap<string, MakeMatcher> = new Map<string, MakeMatcher>([
  ["direct", () => new DirectMatcher()],
  ["fanout", () => new FanoutMatcher()],
  ["topic", () => new TopicMatcher()],
  ["headers", () => new HeadersMatcher()],
  ["x-consistent-hash", (args, where) => new ConsistentHashMatcher(args, where)],
  [DELAYED_TYPE, (args, where) => new DelayedMatcher(makeMatcher(innerTypeOf(args), args, where))],
]);

/** The names of all types. */
export const EXCHANGE_TYPES: readonly string[] = [...MATCHERS.keys()];

/** The exchanges that are there without being declared, all durable. */
export const BUILT_IN: readonly (readonly [name: string, type: string])[] = [
  ["amq.direct", "direct"],
  ["amq.fanout", "fanout"],
  ["amq.topic", "topic"],
  ["amq.headers", "headers"],
  ["amq.match", "headers"],
];

function makeMatcher(type: string, args: Arguments, where: string): Matcher {
  checkExchangeType(type);
  return MATCHERS.get(type)!(args, where);
}

/** Refuses a type that is not there. */
export function checkExchangeType(type: string): void {
  if (MATCHERS.has(type)) return;
  throw new Refusal("precondition-failed", `unknown exchange type '${type}'`);
}

/** `where` names the exchange in the texts of refusals. */
export function createExchange(name: string, declaration: ExchangeDeclaration, where: string): Exchange {
  const { type, args } = declaration;
  const alternate = args.get("alternate-exchange") ?? null;
  if (alternate !== null && typeof alternate !== "string") {
    const text = `invalid type '${describeType(alternate)}' for arg 'alternate-exchange' in ${where}`;
    throw new Refusal("precondition-failed", text);
  }
  const matcher = makeMatcher(type, args, where);
  return new Exchange(name, declaration, { matcher, alternate, deduplication: Deduplication.of(args, where) });
}
