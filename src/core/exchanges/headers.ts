// headers: the binding's arguments are a pattern of header fields. Patterns are found by the fields that they ask for,
// so that a message costs its own headers and what they hit, never all bindings.

import type { FieldTable, FieldValue } from "../../wire/amqp_table.ts";
import { decodeUtf8 } from "../../wire/amqp_values.ts";
import { type Arguments, type ArgumentValue, describeType } from "../arguments.ts";
import { canonicalText } from "../canonical.ts";
import type { Binding, Destination } from "../exchange.ts";
import { Refusal } from "../refusal.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

const MODES: readonly unknown[] = ["all", "any", "all-with-x", "any-with-x"];

interface Pattern {
  readonly destination: Destination;
  readonly isAny: boolean;
  /** Names, and values as text; null where the field only has to be there. */
  readonly fields: readonly (readonly [name: string, text: string | null])[];
}

/** The patterns that ask for one name: those content with any value, and those that want a certain one. */
interface Asking {
  readonly present: Set<Pattern>;
  readonly byText: Map<string, Set<Pattern>>;
}

export class HeadersMatcher implements Matcher {
  readonly #patterns = new Map<Binding, Pattern>();
  /** A pattern of `any` stands under each of its fields, one of `all` under the first. */
  readonly #byName = new Map<string, Asking>();
  /** `all` of nothing matches everything. */
  readonly #always = new Set<Pattern>();

  check(_routingKey: string, args: Arguments): void {
    const mode = args.get("x-match");
    if (mode === undefined || MODES.includes(mode)) return;
    if (typeof mode === "string") {
      const text = `Invalid x-match field value <<"${mode}">>; expected all, any, all-with-x, or any-with-x`;
      throw new Refusal("precondition-failed", text);
    }
    const value = typeof mode === "object" ? "" : ` (value ${mode})`;
    const text = `Invalid x-match field type ${describeType(mode)}${value}; expected longstr`;
    throw new Refusal("precondition-failed", text);
  }

  add(binding: Binding): void {
    const pattern = patternOf(binding);
    this.#patterns.set(binding, pattern);
    if (pattern.fields.length === 0) {
      if (!pattern.isAny) this.#always.add(pattern);
      return;
    }
    for (const [name, text] of entriesOf(pattern)) {
      let asking = this.#byName.get(name);
      if (asking === undefined) this.#byName.set(name, asking = { present: new Set(), byText: new Map() });
      if (text === null) {
        asking.present.add(pattern);
        continue;
      }
      const patterns = asking.byText.get(text);
      if (patterns === undefined) asking.byText.set(text, new Set([pattern]));
      else patterns.add(pattern);
    }
  }

  remove(binding: Binding): void {
    const pattern = this.#patterns.get(binding);
    if (pattern === undefined) return;
    this.#patterns.delete(binding);
    this.#always.delete(pattern);
    for (const [name, text] of entriesOf(pattern)) {
      const asking = this.#byName.get(name);
      if (asking === undefined) continue;
      if (text === null) {
        asking.present.delete(pattern);
      } else {
        const patterns = asking.byText.get(text);
        patterns?.delete(pattern);
        if (patterns?.size === 0) asking.byText.delete(text);
      }
      if (asking.present.size === 0 && asking.byText.size === 0) this.#byName.delete(name);
    }
  }

  match(routing: Routing, visit: (destination: Destination) => void): void {
    for (const { destination } of this.#always) visit(destination);
    if (this.#byName.size === 0) return;
    const { headers } = routing;
    if (headers === null) return;
    const texts = new HeaderTexts(headers);
    for (const name of headers.keys()) {
      const asking = this.#byName.get(name);
      if (asking === undefined) continue;
      for (const pattern of asking.present) if (texts.fulfil(pattern)) visit(pattern.destination);
      for (const pattern of asking.byText.get(texts.get(name)!) ?? []) {
        if (texts.fulfil(pattern)) visit(pattern.destination);
      }
    }
  }
}

/** The headers of one message as text, each made when it is asked for. */
class HeaderTexts {
  readonly #headers: FieldTable;
  readonly #texts = new Map<string, string>();

  constructor(headers: FieldTable) {
    this.#headers = headers;
  }

  get(name: string): string | undefined {
    let text = this.#texts.get(name);
    if (text !== undefined) return text;
    const field = this.#headers.get(name);
    if (field === undefined) return undefined;
    this.#texts.set(name, text = valueText(field.value));
    return text;
  }

  /** For a pattern of which one field is known to match. */
  fulfil({ isAny, fields }: Pattern): boolean {
    return isAny || fields.every(([name, text]) => text === null ? this.#headers.has(name) : this.get(name) === text);
  }
}

/** Fields whose names begin with x- are no part of a pattern, unless its mode says so; `x-match` never is. */
function patternOf({ destination, args }: Binding): Pattern {
  const mode = args.get("x-match") ?? "all";
  const withX = mode === "all-with-x" || mode === "any-with-x";
  const fields = [...args]
    .filter(([name]) => name !== "x-match" && (withX || !name.startsWith("x-")))
    .map(([name, value]): [string, string | null] => [name, value === null ? null : valueText(value)]);
  return { destination, isAny: mode === "any" || mode === "any-with-x", fields };
}

/** Where a pattern is to be found. */
function entriesOf({ isAny, fields }: Pattern): Pattern["fields"] {
  return isAny ? fields : fields.slice(0, 1);
}

/** Texts and octets are the same to RabbitMQ, and numbers of whatever width. */
function valueText(value: FieldValue | ArgumentValue): string {
  const text = value instanceof Uint8Array ? decodeUtf8(value, 0, value.length) : null;
  return canonicalText(text ?? value);
}
