// All classes and methods of AMQP 0-9-1 with RabbitMQ's extensions: the one table that generate_methods.ts reads.
// A row: class and method with their numbers, then the arguments in wire order as "name:domain".
//
// Domains: octet short long longlong bit shortstr longstr table, and longbytes: a long string that is not text.
// A name that begins with "reserved" or is "ticket" is written as zero or empty and not shown.

/** Class, class number, method, method number, arguments. */
export type MethodRow = readonly [string, number, string, number, string];

const CLOSE = "reply-code:short reply-text:shortstr class-id:short method-id:short";
const BINDING = "destination:shortstr source:shortstr routing-key:shortstr no-wait:bit arguments:table";
const QUEUE_BINDING = "ticket:short queue:shortstr exchange:shortstr routing-key:shortstr";

export const METHOD_ROWS: readonly MethodRow[] = [
  [
    "connection",
    10,
    "start",
    10,
    "version-major:octet version-minor:octet server-properties:table mechanisms:longstr locales:longstr",
  ],
  [
    "connection",
    10,
    "start-ok",
    11,
    "client-properties:table mechanism:shortstr response:longbytes locale:shortstr",
  ],
  ["connection", 10, "secure", 20, "challenge:longbytes"],
  ["connection", 10, "secure-ok", 21, "response:longbytes"],
  ["connection", 10, "tune", 30, "channel-max:short frame-max:long heartbeat:short"],
  ["connection", 10, "tune-ok", 31, "channel-max:short frame-max:long heartbeat:short"],
  ["connection", 10, "open", 40, "virtual-host:shortstr reserved-1:shortstr reserved-2:bit"],
  ["connection", 10, "open-ok", 41, "reserved-1:shortstr"],
  ["connection", 10, "close", 50, CLOSE],
  ["connection", 10, "close-ok", 51, ""],
  ["connection", 10, "blocked", 60, "reason:shortstr"],
  ["connection", 10, "unblocked", 61, ""],
  ["connection", 10, "update-secret", 70, "new-secret:longbytes reason:shortstr"],
  ["connection", 10, "update-secret-ok", 71, ""],

  ["channel", 20, "open", 10, "reserved-1:shortstr"],
  ["channel", 20, "open-ok", 11, "reserved-1:longstr"],
  ["channel", 20, "flow", 20, "active:bit"],
  ["channel", 20, "flow-ok", 21, "active:bit"],
  ["channel", 20, "close", 40, CLOSE],
  ["channel", 20, "close-ok", 41, ""],

  ["access", 30, "request", 10, "realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit"],
  ["access", 30, "request-ok", 11, "ticket:short"],

  [
    "exchange",
    40,
    "declare",
    10,
    "ticket:short exchange:shortstr type:shortstr passive:bit durable:bit auto-delete:bit internal:bit no-wait:bit arguments:table",
  ],
  ["exchange", 40, "declare-ok", 11, ""],
  ["exchange", 40, "delete", 20, "ticket:short exchange:shortstr if-unused:bit no-wait:bit"],
  ["exchange", 40, "delete-ok", 21, ""],
  ["exchange", 40, "bind", 30, `ticket:short ${BINDING}`],
  ["exchange", 40, "bind-ok", 31, ""],
  ["exchange", 40, "unbind", 40, `ticket:short ${BINDING}`],
  ["exchange", 40, "unbind-ok", 51, ""],

  [
    "queue",
    50,
    "declare",
    10,
    "ticket:short queue:shortstr passive:bit durable:bit exclusive:bit auto-delete:bit no-wait:bit arguments:table",
  ],
  ["queue", 50, "declare-ok", 11, "queue:shortstr message-count:long consumer-count:long"],
  ["queue", 50, "bind", 20, `${QUEUE_BINDING} no-wait:bit arguments:table`],
  ["queue", 50, "bind-ok", 21, ""],
  ["queue", 50, "purge", 30, "ticket:short queue:shortstr no-wait:bit"],
  ["queue", 50, "purge-ok", 31, "message-count:long"],
  ["queue", 50, "delete", 40, "ticket:short queue:shortstr if-unused:bit if-empty:bit no-wait:bit"],
  ["queue", 50, "delete-ok", 41, "message-count:long"],
  ["queue", 50, "unbind", 50, `${QUEUE_BINDING} arguments:table`],
  ["queue", 50, "unbind-ok", 51, ""],

  ["basic", 60, "qos", 10, "prefetch-size:long prefetch-count:short global:bit"],
  ["basic", 60, "qos-ok", 11, ""],
  [
    "basic",
    60,
    "consume",
    20,
    "ticket:short queue:shortstr consumer-tag:shortstr no-local:bit no-ack:bit exclusive:bit no-wait:bit arguments:table",
  ],
  ["basic", 60, "consume-ok", 21, "consumer-tag:shortstr"],
  ["basic", 60, "cancel", 30, "consumer-tag:shortstr no-wait:bit"],
  ["basic", 60, "cancel-ok", 31, "consumer-tag:shortstr"],
  ["basic", 60, "publish", 40, "ticket:short exchange:shortstr routing-key:shortstr mandatory:bit immediate:bit"],
  ["basic", 60, "return", 50, "reply-code:short reply-text:shortstr exchange:shortstr routing-key:shortstr"],
  [
    "basic",
    60,
    "deliver",
    60,
    "consumer-tag:shortstr delivery-tag:longlong redelivered:bit exchange:shortstr routing-key:shortstr",
  ],
  ["basic", 60, "get", 70, "ticket:short queue:shortstr no-ack:bit"],
  [
    "basic",
    60,
    "get-ok",
    71,
    "delivery-tag:longlong redelivered:bit exchange:shortstr routing-key:shortstr message-count:long",
  ],
  ["basic", 60, "get-empty", 72, "reserved-1:shortstr"],
  ["basic", 60, "ack", 80, "delivery-tag:longlong multiple:bit"],
  ["basic", 60, "reject", 90, "delivery-tag:longlong requeue:bit"],
  ["basic", 60, "recover-async", 100, "requeue:bit"],
  ["basic", 60, "recover", 110, "requeue:bit"],
  ["basic", 60, "recover-ok", 111, ""],
  ["basic", 60, "nack", 120, "delivery-tag:longlong multiple:bit requeue:bit"],

  ["confirm", 85, "select", 10, "no-wait:bit"],
  ["confirm", 85, "select-ok", 11, ""],

  ["tx", 90, "select", 10, ""],
  ["tx", 90, "select-ok", 11, ""],
  ["tx", 90, "commit", 20, ""],
  ["tx", 90, "commit-ok", 21, ""],
  ["tx", 90, "rollback", 30, ""],
  ["tx", 90, "rollback-ok", 31, ""],
];
