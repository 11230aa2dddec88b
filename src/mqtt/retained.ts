// The retained messages of a virtual host. They lie in a store of their own, all of them as if delivered; in memory is
// where the one of each topic lies. A newer one is appended and then the older one settled, so a crash in between leaves
// both, and the later one counts. What pins old segments is moved behind the others now and then.

import { Message, MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { segmentOf } from "../store/segment_position.ts";
import { StoreFault } from "../store/store_event.ts";
import { isExpired } from "../core/expiration.ts";
import { routeTexts } from "../core/message_route.ts";
import { KeyTree } from "./key_tree.ts";
import { MESSAGE_MQTT, MESSAGE_QOS_0, MESSAGE_RETAIN, MESSAGE_RETAINED } from "./message_flags.ts";

/** With more segments than that many times what is alive would fill, the oldest messages are moved. */
const SLACK = 4;
const MOVED_AT_ONCE = 4;

/** Where a retained message lies. */
export interface Retained {
  readonly key: string;
  position: number;
  recordBytes: number;
  bodyBytes: number;
}

export interface RetainedOptions {
  /** Opens the store, which is made when it is not there yet: on the first retained message. */
  readonly open: () => MessageStore;
  readonly isThere: boolean;
  /** Of a full segment. */
  readonly segmentBytes: number;
  /** Topics with a retained message, at most. */
  readonly countMax: number;
  /** Whoever waits for the disk from now on waits for settlements too. */
  readonly includeSettlements: () => void;
}

export class RetainedMessages {
  /** In the order of their positions. */
  readonly #byKey = new Map<string, Retained>();
  readonly #tree = new KeyTree<Retained>();
  #opened: MessageStore | null = null;
  readonly #options: RetainedOptions;
  readonly #message = new Message();
  readonly #copy = new Message();
  #liveBytes = 0;

  /** Takes up what is in the store. */
  constructor(options: RetainedOptions) {
    this.#options = options;
    if (!options.isThere) return;
    const message = this.#message;
    const nowMs = Date.now();
    while (this.#store.next(message)) {
      const [, key] = routeTexts(message);
      this.#drop(key);
      const gone = (message.flags & MESSAGE_EXPIRES) !== 0 && isExpired(message, nowMs);
      if (gone) this.#store.settle(message.position, message.recordBytes, message.bodyBytes);
      else this.#put(key, message);
    }
    this.#store.cool();
  }

  get #store(): MessageStore {
    return this.#opened ??= this.#options.open();
  }

  get count(): number {
    return this.#byKey.size;
  }

  get bytes(): number {
    return this.#liveBytes;
  }

  /** Keeps a message that was published with the retain flag, or forgets what there is; true when that is to be on disk. */
  set(key: string, message: Message): boolean {
    if (message.bodyBytes === 0) return this.#forget(key);
    if (!this.#byKey.has(key) && this.#byKey.size >= this.#options.countMax) return false;
    const kept = this.#copy;
    Object.assign(kept, message);
    const isQos0 = (message.flags & MESSAGE_PERSISTENT) === 0;
    kept.flags |= MESSAGE_RETAIN | MESSAGE_PERSISTENT | (isQos0 ? MESSAGE_QOS_0 : 0);
    this.#store.append(kept);
    const taken = this.#message;
    if (!this.#store.next(taken)) return true;
    this.#drop(key);
    this.#put(key, taken);
    this.#compact();
    return true;
  }

  #forget(key: string): boolean {
    if (!this.#byKey.has(key)) return false;
    this.#drop(key);
    this.#options.includeSettlements();
    return true;
  }

  #put(key: string, { position, recordBytes, bodyBytes }: Message): void {
    const retained: Retained = { key, position, recordBytes, bodyBytes };
    this.#byKey.set(key, retained);
    this.#tree.set(key, retained);
    this.#liveBytes += recordBytes;
  }

  #drop(key: string): void {
    const retained = this.#byKey.get(key);
    if (retained === undefined) return;
    this.#byKey.delete(key);
    this.#tree.delete(key);
    this.#liveBytes -= retained.recordBytes;
    this.#store.settle(retained.position, retained.recordBytes, retained.bodyBytes);
  }

  /** The messages whose topic a pattern matches; `read` gives their content. */
  match(pattern: string): Retained[] {
    return this.#tree.match(pattern);
  }

  /** What is retained under a key; valid until the next call of any method here. Null when its time is over. */
  read(key: string, nowMs: number): Message | null {
    const retained = this.#byKey.get(key);
    if (retained === undefined) return null;
    const message = this.#message;
    try {
      this.#store.read(retained.position, message);
    } catch (fault) {
      if (!(fault instanceof StoreFault)) throw fault;
      this.#drop(key);
      return null;
    }
    if ((message.flags & MESSAGE_EXPIRES) !== 0 && isExpired(message, nowMs)) {
      this.#drop(key);
      return null;
    }
    message.flags |= MESSAGE_RETAINED | MESSAGE_MQTT;
    message.redelivered = false;
    return message;
  }

  /** Moves some of the oldest messages to the end when they keep many segments alive that hold little else. */
  #compact(): void {
    for (let moved = 0; moved < MOVED_AT_ONCE; moved++) {
      const oldest = this.#byKey.values().next().value;
      if (oldest === undefined) return;
      const newest = this.#message.position;
      const segments = segmentOf(newest) - segmentOf(oldest.position);
      if (segments < SLACK || segments * this.#options.segmentBytes < SLACK * this.#liveBytes) return;
      this.#move(oldest.key);
    }
  }

  #move(key: string): void {
    const message = this.read(key, 0);
    if (message === null) return;
    const copy = this.#copy;
    Object.assign(copy, message);
    copy.flags &= ~MESSAGE_RETAINED;
    copy.body = message.body.slice(message.bodyAt, message.bodyAt + message.bodyBytes);
    copy.bodyAt = 0;
    copy.header = message.header.slice(message.headerAt, message.headerAt + message.headerBytes);
    copy.headerAt = 0;
    copy.route = message.route.slice(message.routeAt, message.routeAt + message.routeBytes);
    copy.routeAt = 0;
    this.#store.append(copy);
    if (!this.#store.next(this.#message)) return;
    this.#drop(key);
    this.#put(key, this.#message);
  }

  /** See `VirtualHost.cool`. */
  cool(): void {
    this.#opened?.cool();
  }

  /** With all that is retained. */
  destroy(): void {
    this.#opened?.destroy();
  }

  close(): void {
    this.#opened?.close();
  }
}
