"""The common patterns of Python programs: requests and answers, shared work, news for all, retries, priorities."""

import socket
import threading
import time

import pika
from pika.exceptions import NackError

from core import ANSWER_TIMEOUT_S, take, temporary_queue
from options import expect, expect_equal, report

REPLY_TO = "amq.rabbitmq.reply-to"
REQUESTS = 5
TASKS = 6
ENTRIES = 50


def connect(options):
    return pika.BlockingConnection(pika.URLParameters(options.uri))


def until(connection, done, what):
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not done():
        expect(time.monotonic() < deadline, f"no {what} within {ANSWER_TIMEOUT_S} s")
        connection.process_data_events(time_limit=1)


def texts(deliveries):
    return [body.decode() for _method, _properties, body in deliveries]


def count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def rpc(options, connection):
    requests = options.queue + " requests"
    serving = connect(options)
    server = serving.channel()
    server.queue_declare(requests, auto_delete=True)
    server.basic_qos(prefetch_count=1)

    def answer(channel, method, properties, body):
        reply = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, body + b" pong", reply)
        channel.basic_ack(method.delivery_tag)

    server.basic_consume(requests, answer)
    thread = threading.Thread(target=server.start_consuming, daemon=True)
    thread.start()

    channel = connection.channel()
    answers = {}

    def keep(_channel, _method, properties, body):
        answers[properties.correlation_id] = body.decode()

    channel.basic_consume(REPLY_TO, keep, auto_ack=True)
    for index in range(REQUESTS):
        properties = pika.BasicProperties(reply_to=REPLY_TO, correlation_id=str(index))
        channel.basic_publish("", requests, f"ping {index}", properties)
    until(connection, lambda: len(answers) == REQUESTS, "answers")
    expect_equal(answers, {str(index): f"ping {index} pong" for index in range(REQUESTS)}, "answers")
    channel.close()
    serving.add_callback_threadsafe(server.stop_consuming)
    thread.join()
    serving.close()


def work(options, connection):
    queue = options.queue + " tasks"
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True)
    for index in range(TASKS):
        channel.basic_publish("", queue, str(index), pika.BasicProperties(delivery_mode=2))
    lost, steady = connect(options), connect(options)
    doomed, worker = lost.channel(), steady.channel()
    for each in (doomed, worker):
        each.basic_qos(prefetch_count=1)
    expect_equal(texts(take(doomed, queue, 1)), ["0"], "task of the worker that will be lost")
    done = take(worker, queue, 1)
    expect_equal((texts(done), count(channel, queue)), (["1"], TASKS - 2), "second worker's task, and those left")
    lost._impl._transport._sock.shutdown(socket.SHUT_RDWR)  # no public way to go without a word
    worker.basic_ack(done[0][0].delivery_tag)
    while len(done) < TASKS:
        done += take(worker, queue, 1)
        worker.basic_ack(done[-1][0].delivery_tag)
    seen = sorted((body.decode(), method.redelivered) for method, _properties, body in done)
    expect_equal(seen, [(str(index), index == 0) for index in range(TASKS)], "tasks done")
    worker.cancel()
    expect_equal(count(channel, queue), 0, "tasks left")
    steady.close()
    channel.queue_delete(queue)
    channel.close()


def subscribe(options, connection):
    exchange = options.queue + " news"
    channel = connection.channel()
    channel.exchange_declare(exchange, "fanout", auto_delete=True)
    subscribers = []
    for _ in range(2):
        subscriber = connection.channel()
        queue = temporary_queue(subscriber)
        subscriber.queue_bind(queue, exchange)
        subscribers.append((subscriber, queue))
    for text in ("a", "b", "c"):
        channel.basic_publish(exchange, "", text)
    for subscriber, queue in subscribers:
        expect_equal(texts(take(subscriber, queue, 3, auto_ack=True)), ["a", "b", "c"], "news")
        subscriber.cancel()
        subscriber.close()
    channel.close()


def topics(options, connection):
    exchange = options.queue + " animals"
    channel = connection.channel()
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    orange, other = temporary_queue(channel), temporary_queue(channel)
    channel.queue_bind(orange, exchange, "*.orange.*")
    for pattern in ("*.*.rabbit", "lazy.#"):
        channel.queue_bind(other, exchange, pattern)
    for key in ("quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy.pink.rabbit", "lazy", "orange"):
        channel.basic_publish(exchange, key, key)
    found = {}
    for queue in (orange, other):
        found[queue] = texts(take(channel, queue, count(channel, queue), auto_ack=True))
        channel.cancel()
    expect_equal(found[orange], ["quick.orange.rabbit", "lazy.orange.elephant"], "orange ones")
    expect_equal(found[other], found[orange] + ["lazy.pink.rabbit", "lazy"], "rabbits and lazy ones")
    channel.close()


def retry(options, connection):
    queue, waiting = options.queue + " tried", options.queue + " tried later"
    channel = connection.channel()
    for name, target, ttl in ((queue, waiting, {}), (waiting, queue, {"x-message-ttl": 100})):
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target, **ttl}
        channel.queue_declare(name, durable=True, arguments=arguments)
    channel.basic_publish("", queue, b"task", pika.BasicProperties(delivery_mode=2, message_id="1"))
    tries = 0
    while True:
        [(method, properties, body)] = take(channel, queue, 1)
        deaths = (properties.headers or {}).get("x-death", [])
        failed = sum(death["count"] for death in deaths if death["queue"] == queue and death["reason"] == "rejected")
        expect_equal((failed, body, properties.message_id), (tries, b"task", "1"), "try")
        if failed == 2:
            break
        tries += 1
        channel.basic_reject(method.delivery_tag, requeue=False)
    channel.basic_ack(method.delivery_tag)
    found = [(death["queue"], death["reason"], death["count"]) for death in deaths]
    expect_equal(found, [(waiting, "expired", 2), (queue, "rejected", 2)], "x-death")
    first = [properties.headers[name] for name in ("x-first-death-queue", "x-first-death-reason")]
    expect_equal(first, [queue, "rejected"], "first death")
    channel.cancel()
    for name in (queue, waiting):
        expect_equal(channel.queue_delete(name).method.message_count, 0, "messages left")
    channel.close()


def priorities(_options, connection):
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True, arguments={"x-max-priority": 10}).method.queue
    for priority in (1, None, 9, 5, 200):
        channel.basic_publish("", queue, str(priority), pika.BasicProperties(priority=priority))
    expect_equal(texts(take(channel, queue, 5, auto_ack=True)), ["200", "9", "5", "1", "None"], "by priority")
    channel.cancel()
    channel.close()


def headers(options, connection):
    exchange = options.queue + " documents"
    channel = connection.channel()
    channel.exchange_declare(exchange, "headers", auto_delete=True)
    both, either = temporary_queue(channel), temporary_queue(channel)
    channel.queue_bind(both, exchange, arguments={"x-match": "all", "format": "pdf", "type": "report"})
    channel.queue_bind(either, exchange, arguments={"x-match": "any", "format": "pdf", "type": "log"})
    for kind in ("pdf report", "pdf log", "zip report", "zip log"):
        form, content = kind.split(" ")
        properties = pika.BasicProperties(headers={"format": form, "type": content})
        channel.basic_publish(exchange, "", kind, properties)
    for queue, expected in ((both, ["pdf report"]), (either, ["pdf report", "pdf log", "zip log"])):
        expect_equal(count(channel, queue), len(expected), "messages routed")
        expect_equal(texts(take(channel, queue, len(expected), auto_ack=True)), expected, "messages routed")
        channel.cancel()
    channel.close()


def overflow(_options, connection):
    channel = connection.channel()
    arguments = {"x-max-length": 2, "x-overflow": "reject-publish"}
    queue = channel.queue_declare("", exclusive=True, arguments=arguments).method.queue
    channel.confirm_delivery()
    refused = []
    for text in ("a", "b", "c", "take", "d", "e"):
        if text == "take":
            channel.basic_get(queue, auto_ack=True)
            continue
        try:
            channel.basic_publish("", queue, text)
        except NackError:
            refused.append(text)
    expect_equal(refused, ["c", "e"], "refused messages")
    expect_equal(texts(take(channel, queue, 2, auto_ack=True)), ["b", "d"], "accepted messages")
    channel.cancel()
    channel.close()


def stream(options, connection):
    queue = options.queue + " log"
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
    for index in range(ENTRIES):
        channel.basic_publish("", queue, str(index))
    for start, end in (("first", ENTRIES), (40, ENTRIES), ("next", ENTRIES + 1)):
        reader = connection.channel()
        reader.basic_qos(prefetch_count=10)
        found = []

        def keep(reading, method, properties, body):
            found.append((properties.headers["x-stream-offset"], body.decode()))
            reading.basic_ack(method.delivery_tag)

        reader.basic_consume(queue, keep, arguments={"x-stream-offset": start})
        if start == "next":
            channel.basic_publish("", queue, str(ENTRIES))
        first = {"first": 0, "next": ENTRIES}.get(start, start)
        until(connection, lambda: len(found) >= end - first, f"entries from {start}")
        expect_equal(found, [(index, str(index)) for index in range(first, end)], f"entries from {start}")
        reader.close()
    channel.queue_delete(queue)
    channel.close()


def transactions(_options, connection):
    channel, witness = connection.channel(), connection.channel()
    queue = temporary_queue(channel)
    channel.tx_select()
    channel.basic_publish("", queue, b"forgotten")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"kept")
    expect_equal(count(channel, queue), 0, "messages before the commit")
    channel.tx_commit()
    [(method, _properties, body)] = take(channel, queue, 1)
    expect_equal(body, b"kept", "committed message")
    channel.basic_ack(method.delivery_tag)
    channel.tx_commit()
    channel.close()
    expect_equal(count(witness, queue), 0, "messages after a committed ack")
    witness.close()


PATTERNS = (
    ("requests are answered by direct reply-to", rpc),
    ("workers share tasks, and a lost worker's task is done by another", work),
    ("every subscriber of a fanout exchange gets the news", subscribe),
    ("topics lead to those who asked for them", topics),
    ("what failed is tried again later, through dead letters", retry),
    ("the more urgent comes first", priorities),
    ("headers lead to those who asked for them", headers),
    ("a full queue refuses with a nack", overflow),
    ("a stream is read again from its start, from an offset and from its end", stream),
    ("a transaction is committed or rolled back as a whole", transactions),
)


def run(options):
    connection = connect(options)
    for name, pattern in PATTERNS:
        pattern(options, connection)
        report(event="check", name=name)
    connection.close()
