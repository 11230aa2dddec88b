// The policies of a virtual host, and which of them holds for a queue or an exchange. Each change is an entry of the
// definitions log.

import { POLICIES_MAX } from "../../limits.ts";
import type { DefinitionsSink, Entry } from "../definitions.ts";
import { Refusal } from "../refusal.ts";
import {
  appliesTo,
  combine,
  type EffectivePolicy,
  type Policy,
  type PolicyKind,
  type PolicyRequest,
  readPolicy,
  type ReadyPolicy,
  type ResourceType,
} from "./policy.ts";

export class Policies {
  readonly #vhost: string;
  readonly #definitions: DefinitionsSink;
  readonly #byKind: Readonly<Record<PolicyKind, Map<string, ReadyPolicy>>> = {
    policy: new Map(),
    "operator-policy": new Map(),
  };
  /** Highest priority first, by name among equals. */
  readonly #ordered: Record<PolicyKind, readonly ReadyPolicy[]> = { policy: [], "operator-policy": [] };
  /** Equal pairs give the same object, so that it can be told whether anything changed. */
  #combined = new Map<Policy | null, Map<Policy | null, EffectivePolicy | null>>();

  constructor(vhost: string, definitions: DefinitionsSink) {
    this.#vhost = vhost;
    this.#definitions = definitions;
  }

  list(kind: PolicyKind): Policy[] {
    return [...this.#byKind[kind].values()];
  }

  find(kind: PolicyKind, name: string): Policy | null {
    return this.#byKind[kind].get(name) ?? null;
  }

  /** Refuses what is not valid. Returns whether it is new. Who uses policies is for the caller to tell. */
  put(kind: PolicyKind, name: string, request: PolicyRequest): boolean {
    const policy = readPolicy(kind, name, request);
    const policies = this.#byKind[kind];
    const isNew = !policies.has(name);
    if (isNew && policies.size >= POLICIES_MAX) {
      throw new Refusal("precondition-failed", `vhost '${this.#vhost}' has ${POLICIES_MAX} policies already`);
    }
    policies.set(name, policy);
    this.#changed(kind);
    this.#definitions.append(policyEntry(this.#vhost, kind, policy));
    return isNew;
  }

  /** Returns whether there was one. */
  delete(kind: PolicyKind, name: string): boolean {
    if (!this.#byKind[kind].delete(name)) return false;
    this.#changed(kind);
    this.#definitions.append({ op: `${kind}-delete`, vhost: this.#vhost, name });
    return true;
  }

  /** What holds for a queue or exchange of this name; null for nothing. */
  effective(type: ResourceType, name: string): EffectivePolicy | null {
    const policy = this.#match("policy", type, name);
    const operatorPolicy = this.#match("operator-policy", type, name);
    let ofPolicy = this.#combined.get(policy);
    if (ofPolicy === undefined) this.#combined.set(policy, ofPolicy = new Map());
    let effective = ofPolicy.get(operatorPolicy);
    if (effective === undefined) ofPolicy.set(operatorPolicy, effective = combine(policy, operatorPolicy));
    return effective;
  }

  #match(kind: PolicyKind, type: ResourceType, name: string): Policy | null {
    return this.#ordered[kind].find((policy) => appliesTo(policy, type, name)) ?? null;
  }

  #changed(kind: PolicyKind): void {
    const policies = [...this.#byKind[kind].values()];
    this.#ordered[kind] = policies.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
    const present = new Set<Policy | null>([null, ...this.#ordered.policy, ...this.#ordered["operator-policy"]]);
    for (const [policy, ofPolicy] of this.#combined) {
      if (!present.has(policy)) this.#combined.delete(policy);
      for (const operatorPolicy of ofPolicy.keys()) if (!present.has(operatorPolicy)) ofPolicy.delete(operatorPolicy);
    }
  }

  // Definitions

  restore({ op, name, pattern, applyTo, priority, definition }: Entry): void {
    const kind = op as PolicyKind;
    this.#byKind[kind].set(String(name), readPolicy(kind, String(name), { pattern, applyTo, priority, definition }));
    this.#changed(kind);
  }

  *entries(): IterableIterator<Entry> {
    for (const policy of this.#byKind.policy.values()) yield policyEntry(this.#vhost, "policy", policy);
    const ofOperators = this.#byKind["operator-policy"].values();
    for (const policy of ofOperators) yield policyEntry(this.#vhost, "operator-policy", policy);
  }
}

function policyEntry(vhost: string, op: PolicyKind, policy: Policy): Entry {
  const { name, pattern, applyTo, priority, definition } = policy;
  return { op, vhost, name, pattern, applyTo, priority, definition };
}
