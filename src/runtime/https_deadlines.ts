// The deadlines of connections that node:http is handed instead of accepting them: for the handshake, for the head of a
// request, for the whole request, and for a connection without one. Each is absolute; whoever misses it is cut off.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { HTTP_IDLE_MS_MAX } from "../limits.ts";
import { hasBody } from "./http_exchange.ts";

export interface DeadlineTimes {
  readonly handshakeMs: number;
  readonly headersMs: number;
  readonly requestMs: number;
}

interface Watched {
  readonly socket: Socket;
  timer: ReturnType<typeof setTimeout> | undefined;
  state: "handshake" | "head" | "request" | "answer" | "idle";
  /** Requests that are not answered yet. */
  open: number;
}

export class HttpsDeadlines {
  readonly #watched = new Map<Socket, Watched>();
  readonly #times: DeadlineTimes;
  #closing = false;

  constructor(server: Server, times: DeadlineTimes) {
    this.#times = times;
    server.on("request", (incoming, outgoing) => this.#requested(incoming, outgoing));
    server.on("checkContinue", (incoming, outgoing) => this.#requested(incoming, outgoing));
    server.on("clientError", (error: { code?: string }, socket: Socket) => refuse(error.code ?? "", socket));
  }

  /** A connection whose handshake begins; `socket` is what carries it. */
  watch(secure: TLSSocket, socket: Socket): void {
    const watched: Watched = { socket, timer: undefined, state: "handshake", open: 0 };
    this.#watched.set(secure, watched);
    this.#enter(watched, "handshake");
    socket.on("close", () => {
      clearTimeout(watched.timer);
      this.#watched.delete(secure);
    });
  }

  /** To be called when the server has it, since to listen to it lets what it brings flow. */
  secured(secure: TLSSocket): void {
    const watched = this.#watched.get(secure);
    if (watched === undefined) return;
    this.#enter(watched, "head");
    secure.on("data", () => {
      if (watched.state === "idle") this.#enter(watched, "head");
    });
  }

  /** Cuts off who asks for nothing, from now on also whoever is answered. */
  closeIdle(): void {
    this.#closing = true;
    for (const watched of this.#watched.values()) if (watched.open === 0) watched.socket.destroy();
  }

  #requested(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const watched = this.#watched.get(incoming.socket);
    if (watched === undefined) return;
    watched.open++;
    this.#enter(watched, hasBody(incoming) ? "request" : "answer");
    incoming.once("end", () => {
      if (watched.state === "request") this.#enter(watched, "answer");
    });
    outgoing.once("close", () => {
      watched.open--;
      if (watched.open > 0) return;
      if (this.#closing) watched.socket.destroy();
      // What is not whole yet has its deadline still.
      else if (incoming.complete) this.#enter(watched, "idle");
    });
  }

  #enter(watched: Watched, state: Watched["state"]): void {
    clearTimeout(watched.timer);
    watched.state = state;
    const ms = this.#msOf(state);
    watched.timer = ms === null ? undefined : setTimeout(() => watched.socket.destroy(), ms);
  }

  #msOf(state: Watched["state"]): number | null {
    switch (state) {
      case "handshake":
        return this.#times.handshakeMs;
      case "head":
        return this.#times.headersMs;
      case "request":
        return this.#times.requestMs;
      case "idle":
        return HTTP_IDLE_MS_MAX;
      // Whoever does not read its answer is seen to where that is sent.
      case "answer":
        return null;
    }
  }
}

/** What is no request is told so, as node:http does where it listens itself. */
function refuse(code: string, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`, () => socket.destroy());
}
