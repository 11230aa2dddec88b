// Which messages with QoS 2 a virtual host has of sessions that survive a restart, and their clients have not released:
// the packet identifiers, as records of a store of their own, all of them as if delivered. One is written in the turn of
// its message, behind it: a crash between the two may double the message, never lose it.

import { Message, MESSAGE_PERSISTENT } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { segmentOf } from "../store/segment_position.ts";
import { routeTexts } from "../core/message_route.ts";

/** An identifier that stays behind by so many segments is written anew. */
const SEGMENTS_MAX = 4;
/** Body size and flags of a header without properties. */
const HEADER = new Uint8Array(10);

export interface ReceivedId {
  readonly clientId: string;
  readonly id: number;
  position: number;
  recordBytes: number;
  /** Of an earlier process: what comes under it without the DUP flag is a new message, whose PUBREL that one lost. */
  readonly recovered: boolean;
}

export interface ReceivedIdsOptions {
  /** Opens the store, which is made when it is not there yet. */
  readonly open: () => MessageStore;
  readonly isThere: boolean;
}

export class ReceivedIds {
  /** In the order of their positions. */
  readonly #all = new Set<ReceivedId>();
  readonly #options: ReceivedIdsOptions;
  #opened: MessageStore | null = null;
  readonly #message = new Message();

  constructor(options: ReceivedIdsOptions) {
    this.#options = options;
  }

  get #store(): MessageStore {
    return this.#opened ??= this.#options.open();
  }

  /** Takes up what is in the store; `isWanted` says whether a client's session is there. Once. */
  restore(isWanted: (received: ReceivedId) => boolean): void {
    if (!this.#options.isThere) return;
    const message = this.#message;
    while (this.#store.next(message)) {
      const { position, recordBytes, body, bodyAt } = message;
      const [, clientId] = routeTexts(message);
      const id = body[bodyAt]! << 8 | body[bodyAt + 1]!;
      const received = { clientId, id, position, recordBytes, recovered: true };
      if (isWanted(received)) this.#all.add(received);
      else this.#store.settle(position, recordBytes, 2);
    }
    this.#store.cool();
  }

  /** Written with the turn; throws when the disk is full. */
  add(clientId: string, id: number): ReceivedId {
    const received = { clientId, id, position: 0, recordBytes: 0, recovered: false };
    this.#append(received);
    const oldest = this.#all.values().next().value;
    if (oldest !== undefined && segmentOf(received.position) - segmentOf(oldest.position) > SEGMENTS_MAX) {
      const { position, recordBytes } = oldest;
      this.#all.delete(oldest);
      this.#append(oldest);
      this.#store.settle(position, recordBytes, 2);
    }
    return received;
  }

  #append(received: ReceivedId): void {
    const name = new TextEncoder().encode(received.clientId);
    const message = this.#message;
    const route = new Uint8Array(2 + name.length);
    route[1] = name.length;
    route.set(name, 2);
    message.flags = MESSAGE_PERSISTENT;
    message.timestampMs = Date.now();
    message.route = route;
    message.routeAt = 0;
    message.routeBytes = route.length;
    message.header = HEADER;
    message.headerAt = 0;
    message.headerBytes = HEADER.length;
    message.body = Uint8Array.of(received.id >>> 8, received.id);
    message.bodyAt = 0;
    message.bodyBytes = 2;
    this.#store.append(message);
    if (!this.#store.next(message)) return;
    received.position = message.position;
    received.recordBytes = message.recordBytes;
    this.#all.add(received);
  }

  remove(received: ReceivedId): void {
    if (this.#all.delete(received)) this.#store.settle(received.position, received.recordBytes, 2);
  }

  cool(): void {
    this.#opened?.cool();
  }

  destroy(): void {
    this.#opened?.destroy();
  }

  close(): void {
    this.#opened?.close();
  }
}
