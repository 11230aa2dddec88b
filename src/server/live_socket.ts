// An open connection as management sees it, as far as that is the same for all protocols: its socket. Asked for when it is
// shown; nothing is kept up to date for it.

import { addressText } from "../runtime/address.ts";
import type { Conn } from "../runtime/runtime.ts";

/** What a connection counts of its socket. */
export interface CountedConnection {
  readonly conn: Conn;
  /** Chunks read and written. */
  readonly chunksRead: number;
  readonly writes: number;
}

/** `127.0.0.1:54321`: who is at the other end. */
export function peerOf({ remote: { host, port } }: Conn): string {
  return addressText(host, port);
}

export abstract class LiveSocket<C extends CountedConnection> {
  readonly connectedAtMs = Date.now();
  protected readonly connection: C;

  constructor(connection: C) {
    this.connection = connection;
  }

  /** As RabbitMQ names connections. */
  get name(): string {
    const { conn } = this.connection;
    return `${peerOf(conn)} -> ${addressText(conn.local.host, conn.local.port)}`;
  }

  get peerHost(): string {
    return this.connection.conn.remote.host;
  }

  get peerPort(): number {
    return this.connection.conn.remote.port;
  }

  get host(): string {
    return this.connection.conn.local.host;
  }

  get port(): number {
    return this.connection.conn.local.port;
  }

  get receivedCount(): number {
    return this.connection.chunksRead;
  }

  get sentCount(): number {
    return this.connection.writes;
  }

  get pendingBytes(): number {
    return this.connection.conn.pending;
  }
}
