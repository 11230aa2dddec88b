// What a client asks of an open connection rather than of a channel: frames for channels that are not open, and the
// methods of class connection that are left once it is open.

import {
  type ConnectionUpdateSecret,
  decodeMethod,
  type Method,
  METHOD_BASIC_ACK,
  METHOD_BASIC_NACK,
  METHOD_BASIC_REJECT,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_CLOSE_OK,
  METHOD_CHANNEL_OPEN,
  METHOD_CONNECTION_UPDATE_SECRET,
  METHOD_NAMES,
  writeChannelCloseOk,
  writeChannelOpenOk,
  writeConnectionUpdateSecretOk,
} from "../wire/amqp_methods.ts";
import { Channel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import { AmqpError } from "./errors.ts";
import type { Opened } from "./handshake.ts";

/** A method for a channel that is not open; returns the channel that it opens. `id` is 0 for content. */
export function withoutChannel(
  connection: AmqpConnection,
  opened: Opened,
  number: number,
  id: number,
  payload: { readonly bytes: Uint8Array; readonly at: number; readonly size: number },
): Channel | null {
  switch (id) {
    case METHOD_CHANNEL_OPEN:
      decodeMethod(payload.bytes, payload.at, payload.size);
      if (number > opened.channelMax) {
        const text = `number of channels opened exceeds the negotiated channel_max (${opened.channelMax})`;
        throw new AmqpError(530, text);
      }
      opened.session.openChannel();
      writeChannelOpenOk(connection.conn.out, number);
      connection.touch();
      return new Channel(number, connection, opened.session);
    case METHOD_CHANNEL_CLOSE:
      writeChannelCloseOk(connection.conn.out, number);
      connection.touch();
      return null;
    // Settling what a channel held before it was closed comes too late and hurts nobody.
    case METHOD_CHANNEL_CLOSE_OK:
    case METHOD_BASIC_ACK:
    case METHOD_BASIC_NACK:
    case METHOD_BASIC_REJECT:
      return null;
    default:
      throw new AmqpError(504, "expected 'channel.open'");
  }
}

/** A method on channel 0 of an open connection. */
export function onOpenConnection(connection: AmqpConnection, method: Method): void {
  if (method.kind === METHOD_CONNECTION_UPDATE_SECRET) return updateSecret(connection, method);
  throw new AmqpError(503, `${METHOD_NAMES.get(method.kind)} is not expected on channel 0 of an open connection`);
}

/** A password does not expire, so there is nothing to renew; a wrong one is no secret of this user. */
function updateSecret(connection: AmqpConnection, { newSecret }: ConnectionUpdateSecret): void {
  const { conn, services, userName } = connection;
  const password = new TextDecoder("utf-8", { ignoreBOM: true }).decode(newSecret);
  const { users, logins } = services.realm;
  if (users.authenticate(userName, password, conn.remote.host) === null) {
    logins.failed(userName, conn.remote.host);
    throw new AmqpError(530, "New secret was refused by one of the backends");
  }
  writeConnectionUpdateSecretOk(conn.out, 0);
  connection.touch();
}
