// From the first byte of a connection to connection.open-ok: protocol header, authentication, tuning, virtual host.

import { type Arguments, NO_ARGUMENTS } from "../core/arguments.ts";
import type { Session } from "../core/identity/session.ts";
import type { User } from "../core/identity/users.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { PROTOCOL_HEADER } from "../wire/amqp_frame.ts";
import {
  type ConnectionOpen,
  type ConnectionStartOk,
  type ConnectionTuneOk,
  type Method,
  METHOD_CONNECTION_OPEN,
  METHOD_CONNECTION_START_OK,
  METHOD_CONNECTION_TUNE_OK,
  METHOD_NAMES,
  writeConnectionOpenOk,
  writeConnectionStart,
  writeConnectionTune,
} from "../wire/amqp_methods.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import type { AmqpConnection } from "./connection.ts";
import { AmqpError } from "./errors.ts";
import { fromTable } from "./field_values.ts";
import { type Credentials, MECHANISMS, readCredentials, refusedText } from "./sasl.ts";
import { tableOf } from "../wire/amqp_table.ts";

const LOCALES = "en_US";
/** AMQP 1.4.2.6: no peer may be held to less. */
const FRAME_BYTES_MIN = 4096;

/** Those that RabbitMQ announces, in its order. */
const CAPABILITIES = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  "basic.nack": true,
  consumer_cancel_notify: true,
  "connection.blocked": true,
  consumer_priorities: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
  direct_reply_to: true,
};

const HEADER_BYTES = PROTOCOL_HEADER.length;

/** "login": start-ok came, and is looked at in a while. */
type Phase = "protocol-header" | "start-ok" | "login" | "tune-ok" | "open";

/** What the handshake found out. */
export interface Opened {
  /** Who it is, where, and what it may do there. */
  readonly session: Session;
  readonly vhost: VirtualHost;
  readonly frameBytesMax: number;
  readonly channelMax: number;
  readonly heartbeatSeconds: number;
  readonly capabilities: ReadonlySet<string>;
  /** How the client said who it is. */
  readonly mechanism: string;
  /** What the client says of itself. */
  readonly clientProperties: Arguments;
}

export class Handshake {
  readonly #connection: AmqpConnection;
  #phase: Phase = "protocol-header";
  #headerBytes = 0;
  #user: User | null = null;
  #capabilities: ReadonlySet<string> = new Set();
  #mechanism = "";
  #clientProperties = NO_ARGUMENTS;
  #frameBytesMax = 0;
  #channelMax = 0;
  #heartbeatSeconds = 0;

  constructor(connection: AmqpConnection) {
    this.#connection = connection;
  }

  /** The protocol header was right: we speak AMQP. */
  get started(): boolean {
    return this.#phase !== "protocol-header";
  }

  /** Reads the protocol header, however it is cut; returns what follows it. A wrong one is answered with the right one. */
  protocolHeader(chunk: Uint8Array): Uint8Array {
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] !== PROTOCOL_HEADER[this.#headerBytes]) {
        this.#connection.conn.out.append(PROTOCOL_HEADER);
        this.#connection.fail(new AmqpError(501, "expected the protocol header of AMQP 0-9-1, found other bytes"));
        return chunk.subarray(chunk.length);
      }
      if (++this.#headerBytes < HEADER_BYTES) continue;
      this.#sendStart();
      return chunk.subarray(at + 1);
    }
    return chunk.subarray(chunk.length);
  }

  method(method: Method): void {
    if (this.#phase === "start-ok" && method.kind === METHOD_CONNECTION_START_OK) return this.#startOk(method);
    if (this.#phase === "tune-ok" && method.kind === METHOD_CONNECTION_TUNE_OK) return this.#tuneOk(method);
    if (this.#phase === "open" && method.kind === METHOD_CONNECTION_OPEN) return this.#open(method);
    throw new AmqpError(503, `expected connection.${this.#phase}, found ${METHOD_NAMES.get(method.kind)}`);
  }

  #sendStart(): void {
    const { name, version, platform, node } = this.#connection.services.product;
    writeConnectionStart(this.#connection.conn.out, 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: tableOf({
        capabilities: CAPABILITIES,
        cluster_name: node,
        copyright: "Copyright (c) the Leveret authors.",
        information: "Licensed under the MIT License.",
        platform,
        product: productName(name),
        version,
      }),
      mechanisms: MECHANISMS,
      locales: LOCALES,
    });
    this.#connection.touch();
    this.#phase = "start-ok";
  }

  #startOk(method: ConnectionStartOk): void {
    this.#capabilities = capabilitiesOf(method.clientProperties);
    this.#mechanism = method.mechanism;
    this.#clientProperties = fromTable(method.clientProperties);
    const credentials = readCredentials(method.mechanism, method.response);
    if (credentials === null) return this.#refuseLogin("", method.mechanism);
    const { conn, services } = this.#connection;
    const waitMs = services.realm.logins.waitMs(credentials.name, conn.remote.host);
    if (waitMs === 0) return this.#logIn(credentials, method.mechanism);
    if (waitMs === null) return this.#refuseLogin(credentials.name, method.mechanism);
    this.#connection.later(waitMs, () => this.#logIn(credentials, method.mechanism));
  }

  #logIn({ name, password }: Credentials, mechanism: string): void {
    const { conn, services } = this.#connection;
    const { users, logins } = services.realm;
    const { host } = conn.remote;
    this.#user = users.authenticate(name, password, host);
    if (this.#user === null) {
      logins.failed(name, host);
      return this.#refuseLogin(name, mechanism);
    }
    logins.succeeded(name, host);
    const { channelMax, frameBytesMax: frameMax, heartbeatSeconds: heartbeat } = services.settings;
    writeConnectionTune(conn.out, 0, { channelMax, frameMax, heartbeat });
    this.#connection.touch();
    this.#phase = "tune-ok";
  }

  #refuseLogin(name: string, mechanism: string): void {
    const { services } = this.#connection;
    services.log.warn(`${this.#connection.peer}: login of '${name}' refused`);
    if (!this.#capabilities.has("authentication_failure_close")) return this.#connection.hangUp();
    throw new AmqpError(403, refusedText(mechanism));
  }

  /** The client may lower what was offered, never raise it; its heartbeat is taken as it is. */
  #tuneOk(method: ConnectionTuneOk): void {
    const { channelMax, frameBytesMax } = this.#connection.services.settings;
    checkTuned("frame_max", method.frameMax, frameBytesMax);
    checkTuned("channel_max", method.channelMax, channelMax);
    if (method.frameMax !== 0 && method.frameMax < FRAME_BYTES_MIN) {
      const text = `negotiated frame_max = ${method.frameMax} is lower than the minimum allowed value`;
      throw new AmqpError(530, `${text} (${FRAME_BYTES_MIN})`);
    }
    this.#frameBytesMax = method.frameMax;
    this.#channelMax = method.channelMax;
    this.#heartbeatSeconds = method.heartbeat;
    this.#connection.acceptFrames(this.#frameBytesMax);
    this.#phase = "open";
  }

  #open(method: ConnectionOpen): void {
    const connection = this.#connection;
    // The user may have been deleted meanwhile.
    const { users, sessions } = connection.services.realm;
    const user = this.#user!;
    if (users.find(user.name) !== user) throw new AmqpError(530, `user '${user.name}' was deleted`);
    const session = sessions.open({
      user,
      vhost: method.virtualHost,
      expel: (text) => connection.fail(new AmqpError(320, text)),
    });
    writeConnectionOpenOk(connection.conn.out, 0);
    connection.touch();
    connection.open({
      session,
      vhost: session.vhost,
      frameBytesMax: this.#frameBytesMax,
      channelMax: this.#channelMax,
      heartbeatSeconds: this.#heartbeatSeconds,
      capabilities: this.#capabilities,
      mechanism: this.#mechanism,
      clientProperties: this.#clientProperties,
    });
  }
}

function checkTuned(name: string, chosen: number, offered: number): void {
  if (chosen !== 0 && chosen <= offered) return;
  const value = chosen === 0 ? "0 (no limit)" : chosen;
  throw new AmqpError(530, `negotiated ${name} = ${value} is higher than the maximum allowed value (${offered})`);
}

/** As products are written. */
function productName(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function capabilitiesOf(properties: FieldTable): ReadonlySet<string> {
  const field = properties.get("capabilities");
  if (field?.type !== "F") return new Set();
  const table = field.value as FieldTable;
  return new Set([...table].filter(([, { value }]) => value === true).map(([name]) => name));
}
