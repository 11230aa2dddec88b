// What must be true of the broker's messages, as a client can know it: which are certainly there, which perhaps, which
// certainly not. Every delivery, confirm and answer is held against it; what does not fit is a violation.

import { FILLER_FROM, fillerAt, idOf } from "./bodies.ts";
import type { SimDelivery } from "./sim_client.ts";
import type { World } from "./world.ts";

export type QueueKind = "plain" | "priority" | "ttl" | "dead" | "transient" | "stream" | "target";
export type Knowledge = "yes" | "no" | "maybe";
export type CrashKind = "kill" | "power cut" | "stop";

/**
 * Acknowledgements and marks of delivery are synced within a second, the removal of files is in the journal within five:
 * what is older than this, milliseconds, survives a power cut.
 */
const LAZY_MS = 10_000;
/** What a killed process had not synced is left to the kernel, which takes its time. */
const LEFT_MS = 35_000;

export interface SimMessage {
  readonly id: number;
  readonly bytes: number;
  /** Order is promised among messages with the same one. */
  readonly publisher: string;
  readonly persistent: boolean;
  readonly priority: number;
  readonly sentMs: number;
  /** Before this time it does not expire of itself. */
  readonly expiresMs: number;
  confirmed: boolean;
  readonly copies: Copy[];
}

/** A message in a queue. */
export class Copy {
  readonly message: SimMessage;
  readonly queue: SimQueue;
  /** It was routed there for certain, not only perhaps. */
  readonly routed: boolean;
  /** What a dead letter was before. */
  readonly source: Copy | null;
  /** Before this time it does not expire. */
  readonly expiresMs: number;
  stored: Knowledge = "maybe";
  /** The last audit found it. */
  present = false;
  removed: Knowledge = "no";
  removedMs = -Infinity;
  /** Perhaps it was acknowledged or purged, and not turned into a dead letter. */
  settled = false;
  /** A client has seen it, and the broker has written that down, at this time. */
  flagged = false;
  deliveredMs = -Infinity;
  /**
   * A sync failed that was to cover what is known of it: that may stand in the page cache for a long time, and nobody will
   * ever put it on the disk.
   */
  shaky = false;
  /** The delivery that a client has and has not settled. */
  held: object | null = null;
  /** In a stream. */
  offset = -1;

  constructor(message: SimMessage, queue: SimQueue, routed: boolean, source: Copy | null) {
    this.message = message;
    this.queue = queue;
    this.routed = routed;
    this.source = source;
    this.expiresMs = source === null ? Math.min(message.expiresMs, message.sentMs + queue.ttlMs) : Infinity;
  }

  /** It has to be there. */
  isDue(nowMs: number): boolean {
    return this.stored === "yes" && this.removed === "no" && nowMs < this.expiresMs;
  }
}

export class SimQueue {
  readonly name: string;
  readonly kind: QueueKind;
  readonly ttlMs: number;
  exists: Knowledge = "maybe";
  readonly copies = new Map<number, Copy>();
  /** Messages that were there could have been delivered, or nobody can say whether they were. */
  read = false;

  constructor(name: string, kind: QueueKind, ttlMs: number) {
    this.name = name;
    this.kind = kind;
    this.ttlMs = ttlMs;
  }

  get durable(): boolean {
    return this.kind !== "transient";
  }

  dueCount(nowMs: number): number {
    let count = 0;
    for (const copy of this.copies.values()) if (copy.isDue(nowMs)) count++;
    return count;
  }

  possibleCount(): number {
    let count = 0;
    for (const copy of this.copies.values()) if (copy.removed !== "yes") count++;
    return count;
  }
}

/** What one reader of a queue has seen: first deliveries keep the order of their publisher. */
export class Seen {
  readonly #last = new Map<string, number>();

  /** True when it comes too late. */
  isBehind({ message, queue, source }: Copy): boolean {
    // Dead letters come in the order in which they died.
    if (source !== null) return false;
    const key = queue.kind === "priority" ? `${message.publisher} ${message.priority}` : message.publisher;
    const last = this.#last.get(key) ?? 0;
    this.#last.set(key, Math.max(last, message.id));
    return message.id < last;
  }
}

export class Model {
  readonly queues = new Map<string, SimQueue>();
  readonly violations: string[] = [];
  publishedCount = 0;
  confirmedCount = 0;
  deliveredCount = 0;
  /** When a sync failed: nothing that was sent later may be confirmed. */
  faultedMs = Infinity;
  /** A crash can double dead letters. */
  crashed = false;
  readonly #world: World;
  #lastId = 0;
  /** The last process did not end in good order, and the machine goes on. */
  #killed = false;

  constructor(world: World) {
    this.#world = world;
  }

  violate(text: string): void {
    this.#world.trace.add("violation", text);
    this.violations.push(text);
  }

  get nowMs(): number {
    return this.#world.nowMs;
  }

  message(publisher: string, bytes: number, persistent: boolean, priority: number, expirationMs: number): SimMessage {
    this.publishedCount++;
    const sentMs = this.nowMs;
    const expiresMs = sentMs + expirationMs;
    const id = ++this.#lastId;
    return { id, bytes, publisher, persistent, priority, sentMs, expiresMs, confirmed: false, copies: [] };
  }

  /** The message is on its way to the queue, for certain or perhaps. */
  route(message: SimMessage, queue: SimQueue, sure: boolean, source: Copy | null = null): Copy {
    const copy = new Copy(message, queue, sure, source);
    this.#world.trace.add("published", queue.name, message.id);
    message.copies.push(copy);
    queue.copies.set(message.id, copy);
    return copy;
  }

  confirmed(message: SimMessage): void {
    if (message.sentMs > this.faultedMs) this.violate(`message ${message.id} was confirmed after a sync had failed`);
    message.confirmed = true;
    this.#world.trace.add("confirmed", message.publisher, message.id);
    this.confirmedCount++;
    for (const copy of message.copies) if (copy.routed && copy.source === null) copy.stored = "yes";
  }

  /** Will never be published: a rollback, or a publish that was refused. */
  withdraw(message: SimMessage): void {
    for (const copy of message.copies) copy.queue.copies.delete(message.id);
  }

  /** Returns the copy that was delivered; null when there is none that could be. `wasRead`: before this reader came. */
  delivered(queue: SimQueue, delivery: SimDelivery, seen: Seen, wasRead = queue.read): Copy | null {
    const { body, redelivered } = delivery;
    this.deliveredCount++;
    const id = idOf(body);
    const copy = queue.copies.get(id);
    this.#world.trace.add("delivered", queue.name, id);
    if (copy === undefined) {
      this.violate(`phantom: message ${id} came out of ${queue.name}, where it never was or was gone for good`);
      return null;
    }
    const { message } = copy;
    if (!isIntact(body, message)) this.violate(`message ${id} of ${queue.name} is not what was published`);
    if (copy.removed === "yes" && !this.#mayDouble(queue)) {
      this.violate(`message ${id} came out of ${queue.name} again, though it was settled or gone`);
    }
    if (copy.held !== null && !this.#mayDouble(queue)) {
      this.violate(`message ${id} of ${queue.name} was delivered while another consumer has it`);
    }
    if (copy.flagged && !redelivered && !this.#mayDouble(queue)) {
      this.violate(`message ${id} of ${queue.name} came again without its flag`);
    }
    // What expires the broker itself takes out first.
    if (redelivered && !wasRead && queue.ttlMs === Infinity) {
      this.violate(`message ${id} of ${queue.name} is flagged, and nobody had it`);
    }
    if (!redelivered && seen.isBehind(copy)) this.violate(`message ${id} of ${queue.name} overtook an earlier one`);
    // It was not there only if it had been removed after all.
    if (copy.stored === "maybe" && copy.source === null) copy.stored = "yes";
    copy.held = delivery;
    if (!copy.flagged) copy.deliveredMs = this.nowMs;
    copy.flagged = true;
    return copy;
  }

  /** As `delivered`, of a stream, which everybody may read as often as he likes. `last`: the offset before it, or -1. */
  streamed(queue: SimQueue, delivery: SimDelivery, offset: number, last: number, seen: Seen): Copy | null {
    this.deliveredCount++;
    const id = idOf(delivery.body);
    const copy = queue.copies.get(id);
    this.#world.trace.add("streamed", id, offset);
    if (copy === undefined) {
      this.violate(`phantom: message ${id} came out of ${queue.name}, where it never was or was gone for good`);
      return null;
    }
    if (!isIntact(delivery.body, copy.message)) {
      this.violate(`message ${id} of ${queue.name} is not what was published`);
    }
    if (offset <= last) this.violate(`message ${id} of ${queue.name} has offset ${offset} behind ${last}`);
    if (copy.offset >= 0 && copy.offset !== offset) {
      this.violate(`message ${id} of ${queue.name} moved from offset ${copy.offset} to ${offset}`);
    }
    if (copy.removed === "yes") this.violate(`message ${id} of ${queue.name} is there again`);
    if (seen.isBehind(copy)) this.violate(`message ${id} of ${queue.name} overtook an earlier one`);
    copy.offset = offset;
    if (copy.stored === "maybe") copy.stored = "yes";
    return copy;
  }

  /** A settlement was sent: perhaps it takes effect. */
  settling(copy: Copy, forGood: boolean, dead: boolean): void {
    copy.held = null;
    this.#world.trace.add(forGood ? "settling" : "requeueing", copy.queue.name, copy.message.id);
    if (!forGood) return;
    copy.removed = "maybe";
    copy.removedMs = this.nowMs;
    copy.settled = !dead;
  }

  /** The broker has certainly read the settlement, and what came of it is written. */
  settled(copy: Copy): void {
    if (copy.removed === "no") return;
    this.#world.trace.add("settled", copy.queue.name, copy.message.id);
    copy.removed = "yes";
    copy.removedMs = this.nowMs;
  }

  /** Perhaps a purge takes all that is in the queue ... */
  purging(queue: SimQueue): void {
    for (const copy of queue.copies.values()) {
      if (copy.removed !== "no") continue;
      copy.removed = "maybe";
      copy.settled = true;
    }
  }

  /** ... and now it has. */
  purged(queue: SimQueue): void {
    for (const copy of queue.copies.values()) {
      // A letter that has not died yet is still to come.
      copy.removed = copy.source === null ? "yes" : "maybe";
      copy.settled = true;
      copy.removedMs = this.nowMs;
      copy.held = null;
    }
  }

  /** The broker's process ended: what only it knew is gone. */
  crash(kind: CrashKind, syncFailed: boolean): void {
    this.crashed ||= kind !== "stop";
    this.faultedMs = Infinity;
    // After a stop in good order that follows a kill nobody can say either what was delivered before the kill.
    const isOpen = kind === "stop" && this.#killed;
    this.#killed = kind === "kill" || (this.#killed && kind !== "stop" && kind !== "power cut");
    for (const queue of this.queues.values()) {
      if (isOpen) queue.read = true;
      if (!queue.durable && queue.exists !== "no") queue.exists = "no";
      for (const copy of queue.copies.values()) this.#crashCopy(queue, copy, kind, syncFailed);
    }
  }

  #crashCopy(queue: SimQueue, copy: Copy, kind: CrashKind, syncFailed: boolean): void {
    copy.held = null;
    if (!queue.durable || (!copy.message.persistent && queue.kind !== "stream")) {
      queue.copies.delete(copy.message.id);
      return;
    }
    if (kind === "stop") return;
    if (!copy.message.confirmed || copy.source !== null) {
      copy.stored = "maybe";
      copy.offset = -1;
    }
    // A dead letter's first life ends on disk when its second one is there.
    if (copy.removed === "yes" && !copy.settled) copy.removed = "maybe";
    const removedLately = this.nowMs - copy.removedMs < LAZY_MS;
    const deliveredLately = this.nowMs - copy.deliveredMs < LAZY_MS;
    copy.shaky ||= syncFailed && (removedLately || deliveredLately);
    if (kind === "kill" && !syncFailed) {
      if (removedLately) copy.removedMs = this.nowMs + LEFT_MS;
      if (deliveredLately) copy.deliveredMs = this.nowMs + LEFT_MS;
      return;
    }
    // What a failed sync was to write is dropped from the page cache, as if the power had gone.
    if (copy.removed === "yes" && (removedLately || copy.shaky)) copy.removed = "maybe";
    // After a power cut all that was there counts as delivered before.
    if (kind === "power cut") queue.read = true;
    else if (deliveredLately || copy.shaky) copy.flagged = false;
  }

  /** Dead letters may come twice where a crash fell between their two lives. */
  #mayDouble(queue: SimQueue): boolean {
    return queue.kind === "target" && this.crashed;
  }

  /** Holds what a whole reading of a quiet queue brought against what has to be in it. */
  audited(queue: SimQueue, found: readonly Copy[], atMs: number): void {
    const present = new Set(found);
    for (const copy of queue.copies.values()) {
      copy.present = present.has(copy);
      if (copy.present) {
        // Whatever was tried, it is there.
        if (copy.removed === "maybe") {
          copy.removed = "no";
          copy.settled = false;
        }
        continue;
      }
      if (copy.isDue(atMs)) {
        this.violate(`lost: message ${copy.message.id} (${this.#describe(copy)}) is not in ${queue.name}`);
      }
      // What has not died yet may still come.
      if (copy.removed !== "yes" && copy.source === null) {
        copy.removed = "yes";
        copy.removedMs = Math.max(copy.removedMs, this.nowMs);
      }
    }
  }

  /** Of a confirmed message that may have died one of its two lives is there. Called when all was audited. */
  checkDeadLetters(): void {
    for (const queue of this.queues.values()) {
      if (queue.kind !== "target" || queue.exists !== "yes") continue;
      for (const copy of queue.copies.values()) {
        const { source, message } = copy;
        if (source === null || !message.confirmed || !message.persistent) continue;
        if (source.settled || copy.settled || source.queue.exists !== "yes") continue;
        if (!source.routed || source.stored !== "yes") continue;
        if (source.removed === "yes" && !copy.present && copy.removed === "no") {
          this.violate(`lost: message ${message.id} is neither in ${source.queue.name} nor a dead letter`);
        }
      }
    }
  }

  #describe({ message, deliveredMs }: Copy): string {
    const confirmed = message.confirmed ? "confirmed" : "processed";
    return `${confirmed}, ${message.bytes} bytes, sent at ${message.sentMs.toFixed(0)}` +
      (deliveredMs > 0 ? `, delivered at ${deliveredMs.toFixed(0)}` : "");
  }
}

function isIntact(body: Uint8Array, message: SimMessage): boolean {
  if (body.length !== message.bytes) return false;
  for (let at = FILLER_FROM; at < body.length; at++) if (body[at] !== fillerAt(message.id, at)) return false;
  return true;
}
