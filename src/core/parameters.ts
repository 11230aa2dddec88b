// Parameters: named values that belong to a component, of a virtual host or of the whole broker. Nothing here knows what
// most of them mean. Each change is an entry of the definitions log.

import { hideSecrets } from "../lib/secret_text.ts";
import { PARAMETER_LENGTH_MAX, PARAMETERS_MAX } from "../limits.ts";
import type { DefinitionsSink, Entry } from "./definitions.ts";
import { checkName } from "./identity/names.ts";
import { erlangText, isJsonObject, type Json } from "./policies/json.ts";
import { invalid } from "./policies/policy.ts";

export interface Parameter {
  readonly component: string;
  readonly name: string;
  readonly value: Json;
}

/** What the values of known components have to be. */
const COMPONENTS: ReadonlyMap<string, { readonly what: string; readonly accepts: (value: Json) => boolean }> = new Map([
  ["shovel", { what: "dictionary", accepts: isJsonObject }],
  ["federation-upstream", { what: "dictionary", accepts: isJsonObject }],
  ["federation-upstream-set", { what: "list", accepts: (value: Json) => Array.isArray(value) }],
]);

/** The parameters of one virtual host. */
export class Parameters {
  readonly #vhost: string;
  readonly #definitions: DefinitionsSink;
  readonly #parameters = new Map<string, Parameter>();

  constructor(vhost: string, definitions: DefinitionsSink) {
    this.#vhost = vhost;
    this.#definitions = definitions;
  }

  list(): Parameter[] {
    return [...this.#parameters.values()];
  }

  find(component: string, name: string): Parameter | null {
    return this.#parameters.get(keyOf(component, name)) ?? null;
  }

  /** Returns whether it is new. */
  put(component: string, name: string, value: Json): boolean {
    checkName(component, "component");
    checkParameter(name, value);
    const known = COMPONENTS.get(component);
    if (known !== undefined && !known.accepts(value)) {
      // It is said to who gave it, and in the log where that was a file.
      invalid(`${name} should be a ${known.what}, actually was ${hideSecrets(erlangText(value))}`);
    }
    const key = keyOf(component, name);
    const isNew = !this.#parameters.has(key);
    if (isNew && this.#parameters.size >= PARAMETERS_MAX) invalid(`there are ${PARAMETERS_MAX} parameters already`);
    this.#parameters.set(key, { component, name, value });
    this.#definitions.append({ op: "parameter", vhost: this.#vhost, component, name, value });
    return isNew;
  }

  /** Returns whether there was one. */
  delete(component: string, name: string): boolean {
    if (!this.#parameters.delete(keyOf(component, name))) return false;
    this.#definitions.append({ op: "parameter-delete", vhost: this.#vhost, component, name });
    return true;
  }

  restore({ component, name, value }: Entry): void {
    const parameter = { component: String(component), name: String(name), value: value as Json };
    this.#parameters.set(keyOf(parameter.component, parameter.name), parameter);
  }

  *entries(): IterableIterator<Entry> {
    for (const parameter of this.#parameters.values()) yield { op: "parameter", vhost: this.#vhost, ...parameter };
  }
}

/** The parameters of the whole broker. */
export class GlobalParameters {
  readonly #definitions: DefinitionsSink;
  readonly #values = new Map<string, Json>();

  constructor(definitions: DefinitionsSink) {
    this.#definitions = definitions;
  }

  list(): { name: string; value: Json }[] {
    return [...this.#values].map(([name, value]) => ({ name, value }));
  }

  /** Undefined when there is none. */
  find(name: string): Json | undefined {
    return this.#values.get(name);
  }

  /** Returns whether it is new. */
  put(name: string, value: Json): boolean {
    checkParameter(name, value);
    const isNew = !this.#values.has(name);
    if (isNew && this.#values.size >= PARAMETERS_MAX) invalid(`there are ${PARAMETERS_MAX} global parameters already`);
    this.#values.set(name, value);
    this.#definitions.append({ op: "global-parameter", name, value });
    return isNew;
  }

  /** Returns whether there was one. */
  delete(name: string): boolean {
    if (!this.#values.delete(name)) return false;
    this.#definitions.append({ op: "global-parameter-delete", name });
    return true;
  }

  restore({ name, value }: Entry): void {
    this.#values.set(String(name), value as Json);
  }

  *entries(): IterableIterator<Entry> {
    for (const { name, value } of this.list()) yield { op: "global-parameter", name, value };
  }
}

/** Also what an import asks before it changes anything. */
export function checkParameter(name: string, value: Json): void {
  checkName(name, "parameter");
  if (JSON.stringify(value).length > PARAMETER_LENGTH_MAX) invalid(`the value of ${name} is too large`);
}

function keyOf(component: string, name: string): string {
  return `${component}\0${name}`;
}
