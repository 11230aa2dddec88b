// An open MQTT connection as management sees it. Asked for when it is shown; nothing is kept up to date for it.

import { type Arguments, NO_ARGUMENTS } from "../core/arguments.ts";
import type { Session as Login } from "../core/identity/session.ts";
import { Traffic } from "../core/statistics/counters.ts";
import type { ConnectionState, LiveChannel, LiveConnection } from "../core/statistics/registry.ts";
import { LiveSocket } from "../server/live_socket.ts";
import { ADMINISTRATIVE_ACTION, type MqttVersion } from "../wire/mqtt_packet.ts";
import type { MqttConnection } from "./connection.ts";
import { MqttError } from "./errors.ts";

/** As RabbitMQ names them. */
const PROTOCOLS: Readonly<Record<MqttVersion, string>> = { 3: "MQTT 3-1-0", 4: "MQTT 3-1-1", 5: "MQTT 5-0" };
const NO_CHANNELS: readonly LiveChannel[] = [];

export class LiveMqttConnection extends LiveSocket<MqttConnection> implements LiveConnection {
  readonly protocol: string;
  readonly authMechanism = "";
  /** Seconds. */
  readonly timeout: number;
  readonly frameMax = 0;
  readonly channelMax = 0;
  readonly channels = NO_CHANNELS;
  readonly channelCount = 0;
  readonly #login: Login;
  readonly #clientId: string;
  #traffic: Traffic | null = null;

  constructor(connection: MqttConnection, login: Login, clientId: string, keepAlive: number) {
    super(connection);
    this.protocol = PROTOCOLS[connection.version];
    this.timeout = keepAlive;
    this.#login = login;
    this.#clientId = clientId;
  }

  get user(): string {
    return this.#login.user.name;
  }

  get vhost(): string {
    return this.#login.vhost.name;
  }

  get clientProperties(): Arguments {
    return this.#clientId === "" ? NO_ARGUMENTS : new Map([["client_id", this.#clientId]]);
  }

  get state(): ConnectionState {
    if (this.connection.gone) return "closed";
    return this.connection.isBlocked ? "blocked" : "running";
  }

  get traffic(): Traffic {
    const traffic = this.#traffic ??= new Traffic();
    traffic.received = this.connection.receivedBytes;
    traffic.sent = this.connection.conn.sentBytes;
    return traffic;
  }

  close(reason: string): void {
    this.connection.fail(new MqttError(ADMINISTRATIVE_ACTION, reason));
  }
}
