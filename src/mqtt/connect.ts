// CONNECT: who is it, may it, and which session goes on.

import { randomBytes } from "node:crypto";
import type { Session as Login } from "../core/identity/session.ts";
import { DEFAULT_VHOST } from "../core/realm.ts";
import type { ConnectPacket } from "../wire/mqtt_decode.ts";
import { packetBytes } from "../wire/mqtt_encode.ts";
import {
  ADMINISTRATIVE_ACTION,
  BAD_AUTHENTICATION_METHOD,
  BAD_USER_NAME_OR_PASSWORD,
  CLIENT_IDENTIFIER_NOT_VALID,
  IMPLEMENTATION_SPECIFIC_ERROR,
  NOT_AUTHORIZED,
  REMAINING_BYTES_MAX,
  TOPIC_NAME_INVALID,
} from "../wire/mqtt_packet.ts";
import { type MqttProperties, propertiesBytes } from "../wire/mqtt_properties.ts";
import type { MqttConnection } from "./connection.ts";
import { TopicAliases } from "./delivery.ts";
import { MqttError } from "./errors.ts";
import type { MqttHost } from "./host.ts";
import { RECEIVE_MAXIMUM } from "./incoming.ts";
import { Outgoing } from "./outgoing.ts";
import { TOPIC_BYTES_MAX } from "./publication.ts";
import { TOPIC_ALIASES_MAX } from "./publisher.ts";
import { NEVER, queueName, type Session } from "./session.ts";
import { TOPIC_LEVELS_MAX } from "./subscriptions.ts";

/** The name of the session's queue, which has 22 bytes around the client identifier, is a short string. */
const CLIENT_ID_BYTES_MAX = 233;
/** Topics that we give an alias, for clients that take so many. */
const OUR_ALIASES_MAX = 64;
/** Who gives no name is the user that everybody knows, as if it had said so; see docs/mqtt.md. */
const ANONYMOUS = "guest";
const PASSWORDS = new TextDecoder("utf-8", { ignoreBOM: true });

export interface Accepted {
  readonly session: Session;
  readonly login: Login;
  readonly outgoing: Outgoing;
  readonly present: boolean;
  readonly properties: MqttProperties;
  /** Seconds. */
  readonly keepAlive: number;
  readonly userName: string;
}

/** Throws an MqttError with what CONNACK is to say. */
export function accept(connection: MqttConnection, packet: ConnectPacket): Accepted {
  const { services } = connection;
  const { settings } = services;
  if (packet.properties.authenticationMethod !== undefined) {
    throw new MqttError(BAD_AUTHENTICATION_METHOD, "no enhanced authentication is supported");
  }
  const { userName } = credentialsOf(connection, packet);
  const clientId = clientIdOf(packet);
  const login = logIn(connection, packet, clientId);
  try {
    const host = services.hostOf(login.vhost);
    if (packet.will !== null) checkTopic(packet.will.topic);
    checkSession(host, clientId, login);
    const expiry = Math.min(expiryOf(packet), settings.sessionExpiryMax === 0 ? NEVER : settings.sessionExpiryMax);
    const keepAlive = keepAliveOf(packet, settings.keepAliveMax);
    const properties = packet.version === 5 ? connackProperties(packet, clientId, expiry, keepAlive, connection) : {};
    checkConnack(packet, properties);
    const { session, present } = host.open(packet, clientId, expiry);
    session.login = login;
    const outgoing = outgoingOf(connection, session, packet);
    return { session, login, outgoing, present, properties, keepAlive, userName };
  } catch (error) {
    login.close();
    throw error;
  }
}

function logIn(connection: MqttConnection, packet: ConnectPacket, clientId: string): Login {
  const { users, logins, sessions } = connection.services.realm;
  const { vhostName, userName } = credentialsOf(connection, packet);
  const { password: given } = packet;
  const password = packet.userName === null ? ANONYMOUS : given === null ? "" : PASSWORDS.decode(given);
  const { host } = connection.conn.remote;
  const user = users.authenticate(userName, password, host);
  if (user === null) {
    logins.failed(userName, host);
    throw new MqttError(BAD_USER_NAME_OR_PASSWORD, `login of '${userName}' refused`);
  }
  logins.succeeded(userName, host);
  const expel = (text: string) => connection.fail(new MqttError(ADMINISTRATIVE_ACTION, text));
  return sessions.open({ user, vhost: vhostName, clientId, expel });
}

/** Whoever takes up or ends a session must be allowed to do that with its queue. */
function checkSession(host: MqttHost, clientId: string, login: Login): void {
  if (host.find(clientId) === undefined) return;
  const queue = queueName(clientId, 1);
  if (login.allows("configure", "queue", queue) && login.allows("read", "queue", queue)) return;
  throw new MqttError(NOT_AUTHORIZED, `the session of client '${clientId}' is refused for user '${login.user.name}'`);
}

/** How long a login has to wait because others under its name have failed. Throws when it is not to be looked at. */
export function loginDelayMs(connection: MqttConnection, packet: ConnectPacket): number {
  const { userName } = credentialsOf(connection, packet);
  const waitMs = connection.services.realm.logins.waitMs(userName, connection.conn.remote.host);
  if (waitMs === null) throw new MqttError(BAD_USER_NAME_OR_PASSWORD, `login of '${userName}' refused`);
  return waitMs;
}

/** `vhost:user`, as RabbitMQ reads it: what stands before the last colon, if there is one. */
function credentialsOf(
  { services }: MqttConnection,
  { userName }: ConnectPacket,
): { vhostName: string; userName: string } {
  if (userName === null) return { vhostName: DEFAULT_VHOST, userName: ANONYMOUS };
  const colon = userName.lastIndexOf(":");
  const isVhost = colon >= 0 && services.realm.vhosts.has(userName.slice(0, colon));
  if (!isVhost) return { vhostName: DEFAULT_VHOST, userName };
  return { vhostName: userName.slice(0, colon), userName: userName.slice(colon + 1) };
}

function clientIdOf({ version, clientId, cleanStart }: ConnectPacket): string {
  if (clientId === "") {
    const generates = version === 5 || (version === 4 && cleanStart);
    if (generates) return `auto-${randomBytes(16).toString("hex")}`;
    throw new MqttError(CLIENT_IDENTIFIER_NOT_VALID, "a client identifier is needed");
  }
  if (Buffer.byteLength(clientId) <= CLIENT_ID_BYTES_MAX) return clientId;
  const found = Buffer.byteLength(clientId);
  throw new MqttError(
    CLIENT_IDENTIFIER_NOT_VALID,
    `expected a client identifier of at most ${CLIENT_ID_BYTES_MAX} bytes, found ${found}`,
  );
}

function checkTopic(topic: string): void {
  if (Buffer.byteLength(topic) <= TOPIC_BYTES_MAX && topic.split("/").length <= TOPIC_LEVELS_MAX) return;
  throw new MqttError(TOPIC_NAME_INVALID, `a will's topic is longer than ${TOPIC_BYTES_MAX} bytes`);
}

/** Seconds. Before MQTT 5 a session that is not clean never ends. */
function expiryOf({ version, cleanStart, properties }: ConnectPacket): number {
  if (version === 5) return properties.sessionExpiry ?? 0;
  return cleanStart ? 0 : NEVER;
}

/** Only MQTT 5 can be told of another one. */
function keepAliveOf({ version, keepAlive }: ConnectPacket, max: number): number {
  return version === 5 && max > 0 && (keepAlive === 0 || keepAlive > max) ? max : keepAlive;
}

function connackProperties(
  packet: ConnectPacket,
  clientId: string,
  expiry: number,
  keepAlive: number,
  { services }: MqttConnection,
): MqttProperties {
  const properties: MqttProperties = {
    receiveMaximum: RECEIVE_MAXIMUM,
    maximumPacketSize: services.settings.packetBytesMax,
    topicAliasMaximum: TOPIC_ALIASES_MAX,
  };
  if (expiry !== (packet.properties.sessionExpiry ?? 0)) properties.sessionExpiry = expiry;
  if (keepAlive !== packet.keepAlive) properties.serverKeepAlive = keepAlive;
  if (packet.clientId === "") properties.assignedClientId = clientId;
  return properties;
}

/** A client that cannot be told what it has to know gets no session [MQTT-3.1.2-24]. */
function checkConnack({ properties: { maximumPacketSize = Infinity } }: ConnectPacket, told: MqttProperties): void {
  const needed = packetBytes(2 + propertiesBytes(told));
  if (needed <= maximumPacketSize) return;
  throw new MqttError(
    IMPLEMENTATION_SPECIFIC_ERROR,
    `the client takes packets of ${maximumPacketSize} bytes, CONNACK has ${needed}`,
  );
}

function outgoingOf(connection: MqttConnection, session: Session, { version, properties }: ConnectPacket): Outgoing {
  const { settings, mapping } = connection.services;
  const aliases = Math.min(properties.topicAliasMaximum ?? 0, OUR_ALIASES_MAX);
  const recipient = {
    version,
    mapping,
    packetBytesMax: properties.maximumPacketSize ?? REMAINING_BYTES_MAX + 5,
    aliases: aliases === 0 ? null : new TopicAliases(aliases),
  };
  const receiveMaximum = Math.min(properties.receiveMaximum ?? 65_535, settings.inFlightMax);
  return new Outgoing(connection, session, recipient, receiveMaximum);
}
