// From the first byte of a connection to connection.open-ok: protocol header, authentication, tuning, virtual host.

import type { User } from "../core/user.ts";
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
import { tableOf } from "../wire/amqp_table.ts";

const MECHANISMS = "PLAIN";
const LOCALES = "en_US";
/** AMQP 1.4.2.6: no peer may be held to less. */
const FRAME_BYTES_MIN = 4096;

/** What is there, of the capabilities that RabbitMQ announces. */
const CAPABILITIES = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  "basic.nack": true,
  consumer_cancel_notify: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
};

const HEADER_BYTES = PROTOCOL_HEADER.length;

type Phase = "protocol-header" | "start-ok" | "tune-ok" | "open";

export class Handshake {
  readonly #connection: AmqpConnection;
  #phase: Phase = "protocol-header";
  #headerBytes = 0;
  #user: User | null = null;
  #capabilities: ReadonlySet<string> = new Set();
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
    const { product, version, platform } = { product: "Leveret", ...this.#connection.services.product };
    writeConnectionStart(this.#connection.conn.out, 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: tableOf({
        capabilities: CAPABILITIES,
        product,
        version,
        platform,
      }),
      mechanisms: MECHANISMS,
      locales: LOCALES,
    });
    this.#connection.touch();
    this.#phase = "start-ok";
  }

  #startOk(method: ConnectionStartOk): void {
    this.#capabilities = capabilitiesOf(method.clientProperties);
    if (method.mechanism !== "PLAIN") {
      throw new AmqpError(503, `expected authentication mechanism ${MECHANISMS}, found '${method.mechanism}'`);
    }
    const { services, conn } = this.#connection;
    const [, name, password] = plainParts(method.response);
    this.#user = services.users.authenticate(name ?? "", password ?? "", conn.remote.host);
    if (this.#user === null) return this.#refuseLogin(name ?? "");
    const { channelMax, frameBytesMax: frameMax, heartbeatSeconds: heartbeat } = services.settings;
    writeConnectionTune(conn.out, 0, { channelMax, frameMax, heartbeat });
    this.#connection.touch();
    this.#phase = "tune-ok";
  }

  #refuseLogin(name: string): void {
    const { services } = this.#connection;
    services.log.warn(`${this.#connection.peer}: login of '${name}' refused`);
    if (!this.#capabilities.has("authentication_failure_close")) return this.#connection.hangUp();
    throw new AmqpError(
      403,
      "Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
    );
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
    const vhost = connection.services.vhosts.get(method.virtualHost);
    if (vhost === undefined) throw new AmqpError(530, `vhost ${method.virtualHost} not found`);
    writeConnectionOpenOk(connection.conn.out, 0);
    connection.touch();
    connection.open({
      user: this.#user!,
      vhost,
      frameBytesMax: this.#frameBytesMax,
      channelMax: this.#channelMax,
      heartbeatSeconds: this.#heartbeatSeconds,
      capabilities: this.#capabilities,
    });
  }
}

function checkTuned(name: string, chosen: number, offered: number): void {
  if (chosen !== 0 && chosen <= offered) return;
  const value = chosen === 0 ? "0 (no limit)" : chosen;
  throw new AmqpError(530, `negotiated ${name} = ${value} is higher than the maximum allowed value (${offered})`);
}

/** Authorization identity (unused), name, password. */
function plainParts(response: Uint8Array): string[] {
  const parts = new TextDecoder("utf-8", { ignoreBOM: true }).decode(response).split("\0");
  return parts.length === 3 ? parts : [];
}

function capabilitiesOf(properties: FieldTable): ReadonlySet<string> {
  const field = properties.get("capabilities");
  if (field?.type !== "F") return new Set();
  const table = field.value as FieldTable;
  return new Set([...table].filter(([, { value }]) => value === true).map(([name]) => name));
}
