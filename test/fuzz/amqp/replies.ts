// What a broker sends must be AMQP, whatever it was sent: whole frames of allowed size, methods of a server, contents
// whose bodies are as long as announced and are not mixed with others of their channel.

import assert from "node:assert/strict";
import { judgeHeader, judgeMethod } from "../wire/grammar.ts";

export interface Close {
  readonly channel: number;
  readonly code: number;
  readonly text: string;
  readonly method: number;
}

export interface Heard {
  /** Channels' closes in order, and connection.close. */
  readonly channelCloses: readonly Close[];
  readonly connectionClose: Close | null;
  /** Names of methods in order, with their channels. */
  readonly methods: readonly { readonly channel: number; readonly name: string; readonly payload: Uint8Array }[];
}

const CONTENT: readonly string[] = ["basic.deliver", "basic.get-ok", "basic.return"];
const SERVERS: readonly string[] = [
  ...["start", "secure", "tune", "open-ok", "close", "close-ok", "blocked", "unblocked", "update-secret-ok"]
    .map((name) => `connection.${name}`),
  ...["open-ok", "flow", "flow-ok", "close", "close-ok"].map((name) => `channel.${name}`),
  ...["declare-ok", "delete-ok", "bind-ok", "unbind-ok"].map((name) => `exchange.${name}`),
  ...["declare-ok", "delete-ok", "bind-ok", "unbind-ok", "purge-ok"].map((name) => `queue.${name}`),
  ...["qos-ok", "consume-ok", "cancel", "cancel-ok", "get-empty", "ack", "nack", "recover-ok"]
    .map((name) => `basic.${name}`),
  ...CONTENT,
  "confirm.select-ok",
  "tx.select-ok",
  "tx.commit-ok",
  "tx.rollback-ok",
];
const SOFT: readonly number[] = [403, 404, 405, 406];
const HARD: readonly number[] = [320, 403, 501, 502, 503, 504, 505, 506, 530, 540];

/**
 * Reads all that was sent. `frameBytesMax` bounds bodies; headers cannot be cut and are passed on as they came. `isCut`:
 * the connection was cut off, so the last content need not be whole.
 */
export function hear(stream: Uint8Array, frameBytesMax: number, isCut = false): Heard {
  const channelCloses: Close[] = [];
  let connectionClose: Close | null = null;
  const methods: { channel: number; name: string; payload: Uint8Array }[] = [];
  const contents = new Map<number, { header: boolean; left: number }>();
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let at = 0; at < stream.length;) {
    assert.ok(stream.length - at >= 8, "the broker's last frame is whole");
    const [type, channel, size] = [stream[at]!, view.getUint16(at + 1), view.getUint32(at + 3)];
    const end = at + 7 + size;
    assert.ok(end < stream.length, "the broker's last frame is whole");
    assert.equal(stream[end], 0xce, "a frame of the broker ends as frames do");
    const payload = stream.subarray(at + 7, end);
    at = end + 1;
    assert.ok(connectionClose === null || type === 1, "nothing follows connection.close but close-ok");
    const content = contents.get(channel);
    if (type === 8) {
      assert.equal(channel + size, 0, "a heartbeat is an empty frame on channel 0");
    } else if (type === 1) {
      assert.equal(content, undefined, "no method comes in the middle of a content");
      const { ok, name } = judgeMethod(payload, true);
      assert.ok(ok, `the broker's ${name || "method"} is whole`);
      assert.ok(SERVERS.includes(name), `a server may send ${name}`);
      methods.push({ channel, name, payload });
      if (CONTENT.includes(name)) contents.set(channel, { header: true, left: 0 });
      if (name === "channel.close") channelCloses.push(closeOf(channel, payload, SOFT));
      if (name === "connection.close") connectionClose = closeOf(channel, payload, HARD);
    } else if (type === 2) {
      assert.ok(content?.header, "a content header follows its method");
      assert.ok(judgeHeader(payload, 4, size, false).ok, "the broker's content header is whole");
      const left = Number(new DataView(stream.buffer, stream.byteOffset + at - 1 - size).getBigUint64(4));
      if (left === 0) contents.delete(channel);
      else contents.set(channel, { header: false, left });
    } else {
      assert.equal(type, 3, "there is no other type of frame");
      assert.ok(content !== undefined && !content.header, "a body follows its header");
      assert.ok(size > 0 && size + 8 <= frameBytesMax, "a body frame has the size that was agreed upon");
      content.left -= size;
      assert.ok(content.left >= 0, "a body is as long as announced");
      if (content.left === 0) contents.delete(channel);
    }
  }
  assert.ok(isCut || contents.size === 0, "contents are whole");
  return { channelCloses, connectionClose, methods };
}

function closeOf(channel: number, payload: Uint8Array, codes: readonly number[]): Close {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const code = view.getUint16(4);
  const textBytes = payload[6]!;
  const text = new TextDecoder().decode(payload.subarray(7, 7 + textBytes));
  assert.ok(codes.includes(code), `a reply code is one of ${codes}: ${code}, ${text}`);
  return { channel, code, text, method: view.getUint32(7 + textBytes) };
}
