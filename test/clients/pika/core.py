"""What a Python program relies on: publish, confirm, consume, properties, settlement, returns and errors."""

import datetime
import decimal

import pika
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from options import expect, expect_equal, report

ANSWER_TIMEOUT_S = 30


def take(channel, queue, count, auto_ack=False):
    """The next `count` deliveries; the consumer is cancelled after them."""
    taken = []
    for method, properties, body in channel.consume(queue, auto_ack=auto_ack, inactivity_timeout=ANSWER_TIMEOUT_S):
        expect(method is not None, f"{queue}: delivery {len(taken) + 1} of {count} did not come")
        taken.append((method, properties, body))
        if len(taken) == count:
            return taken


def temporary_queue(channel):
    return channel.queue_declare("", exclusive=True).method.queue


def bodies(options, connection):
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(options.queue, durable=True)
    for index in range(options.count):
        properties = pika.BasicProperties(delivery_mode=2, message_id=str(index))
        channel.basic_publish("", options.queue, options.body(index), properties, mandatory=True)
    for index, (method, properties, body) in enumerate(take(channel, options.queue, options.count)):
        expect_equal(properties.message_id, str(index), "order")
        options.expect_body(index, body)
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    channel.queue_delete(options.queue)
    channel.close()


def properties(_options, connection):
    channel = connection.channel()
    queue = temporary_queue(channel)
    moment = datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.timezone.utc)
    headers = {
        "bool": True,
        "int": -42,
        "long": -(2**63),
        "string": "h\u00e4der",
        "bytes": b"\x00\x01\xff",
        "time": moment,
        "none": None,
        "decimal": decimal.Decimal("123.45"),
        "array": [1, "two", {"three": 3}, [True, None]],
        "table": {"deep": {"deeper": {"deepest": "yes"}}},
    }
    sent = pika.BasicProperties(
        content_type="text/plain",
        content_encoding="identity",
        headers=headers,
        delivery_mode=2,
        priority=7,
        correlation_id="correlation",
        reply_to="reply",
        expiration="3600000",
        message_id="message",
        timestamp=1700000000,
        type="type",
        user_id="guest",
        app_id="application",
        cluster_id="cluster",
    )
    channel.basic_publish("", queue, b"body", sent)
    [(_method, received, body)] = take(channel, queue, 1, auto_ack=True)
    expect_equal(body, b"body", "body")
    for name in vars(sent):
        if name != "headers":
            expect_equal(getattr(received, name), getattr(sent, name), name)
    expect_equal(sorted(received.headers), sorted(headers), "header names")
    for name, value in headers.items():
        found = received.headers[name]
        if isinstance(found, datetime.datetime) and found.tzinfo is None:
            found = found.replace(tzinfo=datetime.timezone.utc)
        expect_equal(found, value, f"header {name}")
    channel.cancel()
    channel.close()


def settlement(_options, connection):
    channel = connection.channel()
    queue = temporary_queue(channel)
    channel.basic_publish("", queue, b"one")
    channel.basic_publish("", queue, b"two")
    (first, _, _), (second, _, _) = take(channel, queue, 2)
    expect(not first.redelivered and not second.redelivered, "a first delivery is flagged redelivered")
    channel.basic_nack(second.delivery_tag, requeue=False)
    channel.basic_reject(first.delivery_tag, requeue=True)
    [(again, _, body)] = take(channel, queue, 1)
    expect_equal((again.redelivered, body), (True, b"one"), "the rejected message")
    channel.basic_ack(again.delivery_tag, multiple=True)
    channel.cancel()
    expect_equal(channel.queue_declare(queue, passive=True).method.message_count, 0, "messages left")
    channel.close()


def mandatory(_options, connection):
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", "no such queue", b"back", mandatory=True)
        expect(False, "an unroutable message was not returned")
    except UnroutableError as error:
        [returned] = error.messages
        expect_equal((returned.method.reply_code, returned.body), (312, b"back"), "return")
    channel.close()


def get(_options, connection):
    channel = connection.channel()
    queue = temporary_queue(channel)
    channel.basic_publish("", queue, b"one")
    channel.basic_publish("", queue, b"two")
    method, _properties, body = channel.basic_get(queue)
    expect_equal((body, method.message_count), (b"one", 1), "get-ok")
    channel.basic_ack(method.delivery_tag)
    expect_equal(channel.queue_purge(queue).method.message_count, 1, "purged messages")
    expect_equal(channel.basic_get(queue), (None, None, None), "get of an empty queue")
    channel.close()


def expect_code(code, what, act):
    try:
        act()
        expect(False, f"{what}: expected {code}, nothing happened")
    except ChannelClosedByBroker as error:
        expect_equal(error.reply_code, code, what)


def failures(_options, connection):
    expect_code(404, "passive declare", lambda: connection.channel().queue_declare("no such queue", passive=True))

    channel = connection.channel()
    channel.confirm_delivery()
    expect_code(404, "publish to a missing exchange", lambda: channel.basic_publish("no such exchange", "", b""))

    other = connection.channel()
    queue = "redeclared by pika"
    other.queue_declare(queue, exclusive=True)
    expect_code(406, "redeclare", lambda: other.queue_declare(queue, exclusive=True, auto_delete=True))

    acking = connection.channel()
    acking.basic_ack(42)
    expect_code(406, "unknown delivery tag", lambda: acking.queue_declare(queue, passive=True))
    expect(connection.is_open, "a channel error closed the connection")


def exclusive(options, connection):
    queue = temporary_queue(connection.channel())
    other = pika.BlockingConnection(pika.URLParameters(options.uri))
    expect_code(405, "exclusive queue", lambda: other.channel().queue_declare(queue, passive=True))
    other.close()


def prefetch(_options, connection):
    channel = connection.channel()
    queue = temporary_queue(channel)
    for body in (b"0", b"1", b"2"):
        channel.basic_publish("", queue, body)
    channel.basic_qos(prefetch_count=2)
    got = []
    channel.basic_consume(queue, lambda _channel, method, _properties, body: got.append((method, body)))
    while len(got) < 2:
        connection.process_data_events(time_limit=ANSWER_TIMEOUT_S)
    expect_equal(channel.queue_declare(queue, passive=True).method.message_count, 1, "messages held back")
    expect_equal(len(got), 2, "deliveries with prefetch 2")
    channel.basic_ack(got[0][0].delivery_tag)
    while len(got) < 3:
        connection.process_data_events(time_limit=ANSWER_TIMEOUT_S)
    expect_equal([body for _method, body in got], [b"0", b"1", b"2"], "order")
    channel.close()


def topics(_options, connection):
    channel = connection.channel()
    queue = temporary_queue(channel)
    channel.queue_bind(queue, "amq.topic", "*.orange.#")
    for key in ("quick.orange.rabbit", "lazy.brown", "lazy.orange", "orange"):
        channel.basic_publish("amq.topic", key, b"")
    keys = [method.routing_key for method, _, _ in take(channel, queue, 2, auto_ack=True)]
    expect_equal(keys, ["quick.orange.rabbit", "lazy.orange"], "routed keys")
    channel.cancel()
    channel.queue_unbind(queue, "amq.topic", "*.orange.#")
    channel.close()


CHECKS = (
    ("bodies of every size arrive in order and byte-identical", bodies),
    ("all properties and header types round-trip", properties),
    ("a rejected message comes back flagged redelivered", settlement),
    ("an unroutable mandatory message is returned and confirmed", mandatory),
    ("get takes one message and tells an empty queue", get),
    ("errors close the channel with the right code, not the connection", failures),
    ("an exclusive queue is locked to its connection", exclusive),
    ("prefetch limits what is outstanding", prefetch),
    ("topic routing follows the pattern", topics),
)


def run(options):
    connection = pika.BlockingConnection(pika.URLParameters(options.uri))
    for name, check in CHECKS:
        check(options, connection)
        report(event="check", name=name)
    connection.close()
