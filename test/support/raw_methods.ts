// The methods a raw client sends, as bytes; arguments that a test does not care about have the usual values.

import {
  bits,
  content,
  type ContentOptions,
  long,
  longlong,
  longString,
  method,
  octet,
  short,
  shortString,
  type Table,
  table,
} from "./raw_bytes.ts";

export const CAPABILITIES = { capabilities: { authentication_failure_close: true, consumer_cancel_notify: true } };

export const connection = {
  startOk: (
    { user = "guest", password = "guest", mechanism = "PLAIN", properties = CAPABILITIES as Table } = {},
  ): Buffer =>
    method(
      0,
      10,
      11,
      table(properties),
      shortString(mechanism),
      longString(`\0${user}\0${password}`),
      shortString("en_US"),
    ),
  tuneOk: ({ channelMax = 2047, frameMax = 131_072, heartbeat = 0 } = {}): Buffer =>
    method(0, 10, 31, short(channelMax), long(frameMax), short(heartbeat)),
  open: (vhost = "/"): Buffer => method(0, 10, 40, shortString(vhost), shortString(""), octet(0)),
  close: (code = 200, text = "bye"): Buffer => method(0, 10, 50, short(code), shortString(text), short(0), short(0)),
  closeOk: (): Buffer => method(0, 10, 51),
};

export const channel = {
  open: (number: number): Buffer => method(number, 20, 10, shortString("")),
  flow: (number: number, active: boolean): Buffer => method(number, 20, 20, bits(active)),
  close: (number: number): Buffer => method(number, 20, 40, short(200), shortString("bye"), short(0), short(0)),
  closeOk: (number: number): Buffer => method(number, 20, 41),
};

interface ExchangeOptions {
  passive?: boolean;
  durable?: boolean;
  autoDelete?: boolean;
  internal?: boolean;
  noWait?: boolean;
  args?: Table;
}

export const exchange = {
  declare: (number: number, name: string, type: string, options: ExchangeOptions = {}): Buffer => {
    const { passive = false, durable = false, autoDelete = false, internal = false, noWait = false } = options;
    const flags = bits(passive, durable, autoDelete, internal, noWait);
    return method(number, 40, 10, short(0), shortString(name), shortString(type), flags, table(options.args ?? {}));
  },
  delete: (number: number, name: string, { ifUnused = false, noWait = false } = {}): Buffer =>
    method(number, 40, 20, short(0), shortString(name), bits(ifUnused, noWait)),
  bind: (number: number, destination: string, source: string, key: string, args: Table = {}): Buffer =>
    method(
      number,
      40,
      30,
      short(0),
      shortString(destination),
      shortString(source),
      shortString(key),
      bits(),
      table(args),
    ),
  unbind: (number: number, destination: string, source: string, key: string, args: Table = {}): Buffer =>
    method(
      number,
      40,
      40,
      short(0),
      shortString(destination),
      shortString(source),
      shortString(key),
      bits(),
      table(args),
    ),
};

interface QueueOptions {
  passive?: boolean;
  durable?: boolean;
  exclusive?: boolean;
  autoDelete?: boolean;
  noWait?: boolean;
  args?: Table;
}

export const queue = {
  declare: (number: number, name: string, options: QueueOptions = {}): Buffer => {
    const { passive = false, durable = false, exclusive = false, autoDelete = false, noWait = false } = options;
    const flags = bits(passive, durable, exclusive, autoDelete, noWait);
    return method(number, 50, 10, short(0), shortString(name), flags, table(options.args ?? {}));
  },
  bind: (number: number, name: string, source: string, key: string, args: Table = {}): Buffer =>
    method(number, 50, 20, short(0), shortString(name), shortString(source), shortString(key), bits(), table(args)),
  unbind: (number: number, name: string, source: string, key: string, args: Table = {}): Buffer =>
    method(number, 50, 50, short(0), shortString(name), shortString(source), shortString(key), table(args)),
  purge: (number: number, name: string): Buffer => method(number, 50, 30, short(0), shortString(name), bits()),
  delete: (number: number, name: string, { ifUnused = false, ifEmpty = false, noWait = false } = {}): Buffer =>
    method(number, 50, 40, short(0), shortString(name), bits(ifUnused, ifEmpty, noWait)),
};

interface ConsumeOptions {
  tag?: string;
  noLocal?: boolean;
  noAck?: boolean;
  exclusive?: boolean;
  noWait?: boolean;
  args?: Table;
}

interface PublishOptions extends ContentOptions {
  exchange?: string;
  mandatory?: boolean;
  immediate?: boolean;
}

export const basic = {
  qos: (number: number, count: number, { global = false, size = 0 } = {}): Buffer =>
    method(number, 60, 10, long(size), short(count), bits(global)),
  consume: (number: number, name: string, options: ConsumeOptions = {}): Buffer => {
    const { tag = "", noLocal = false, noAck = false, exclusive = false, noWait = false } = options;
    const flags = bits(noLocal, noAck, exclusive, noWait);
    return method(number, 60, 20, short(0), shortString(name), shortString(tag), flags, table(options.args ?? {}));
  },
  cancel: (number: number, tag: string, noWait = false): Buffer =>
    method(number, 60, 30, shortString(tag), bits(noWait)),
  /** The method alone; `publish` sends header and body too. */
  publishMethod: (number: number, key: string, options: PublishOptions = {}): Buffer => {
    const { exchange = "", mandatory = false, immediate = false } = options;
    return method(number, 60, 40, short(0), shortString(exchange), shortString(key), bits(mandatory, immediate));
  },
  publish: (number: number, key: string, body: string | Uint8Array, options: PublishOptions = {}): Buffer =>
    Buffer.concat([basic.publishMethod(number, key, options), content(number, body, options)]),
  get: (number: number, name: string, noAck = false): Buffer =>
    method(number, 60, 70, short(0), shortString(name), bits(noAck)),
  ack: (number: number, tag: number, multiple = false): Buffer => method(number, 60, 80, longlong(tag), bits(multiple)),
  reject: (number: number, tag: number, requeue: boolean): Buffer =>
    method(number, 60, 90, longlong(tag), bits(requeue)),
  nack: (number: number, tag: number, { multiple = false, requeue = true } = {}): Buffer =>
    method(number, 60, 120, longlong(tag), bits(multiple, requeue)),
  recover: (number: number, requeue: boolean): Buffer => method(number, 60, 110, bits(requeue)),
  recoverAsync: (number: number, requeue: boolean): Buffer => method(number, 60, 100, bits(requeue)),
};

export const confirm = {
  select: (number: number, noWait = false): Buffer => method(number, 85, 10, bits(noWait)),
};

export const tx = {
  select: (number: number): Buffer => method(number, 90, 10),
  commit: (number: number): Buffer => method(number, 90, 20),
  rollback: (number: number): Buffer => method(number, 90, 30),
};

/** How the specification numbers what a broker sends. */
export const REPLIES = {
  "connection.start": "10.10",
  "connection.tune": "10.30",
  "connection.open-ok": "10.41",
  "connection.close": "10.50",
  "connection.close-ok": "10.51",
  "connection.blocked": "10.60",
  "connection.unblocked": "10.61",
  "connection.update-secret-ok": "10.71",
  "channel.open-ok": "20.11",
  "channel.flow-ok": "20.21",
  "channel.close": "20.40",
  "channel.close-ok": "20.41",
  "exchange.declare-ok": "40.11",
  "exchange.delete-ok": "40.21",
  "exchange.bind-ok": "40.31",
  "exchange.unbind-ok": "40.51",
  "queue.declare-ok": "50.11",
  "queue.bind-ok": "50.21",
  "queue.unbind-ok": "50.51",
  "queue.purge-ok": "50.31",
  "queue.delete-ok": "50.41",
  "basic.qos-ok": "60.11",
  "basic.consume-ok": "60.21",
  "basic.cancel": "60.30",
  "basic.cancel-ok": "60.31",
  "basic.return": "60.50",
  "basic.deliver": "60.60",
  "basic.get-ok": "60.71",
  "basic.get-empty": "60.72",
  "basic.ack": "60.80",
  "basic.recover-ok": "60.111",
  "basic.nack": "60.120",
  "confirm.select-ok": "85.11",
  "tx.select-ok": "90.11",
  "tx.commit-ok": "90.21",
  "tx.rollback-ok": "90.31",
} as const;

export type ReplyName = keyof typeof REPLIES;
