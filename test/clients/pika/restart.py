"""A publisher and a consumer that live through restarts of the broker."""

import collections
import time

import pika
from pika.exceptions import AMQPError

from options import expect, report

RECONNECT_TIMEOUT_S = 60
ACK_EVERY = 100
REPORT_EVERY = 200
PUBLISH_BATCH = 50


def connect(options):
    deadline = time.monotonic() + RECONNECT_TIMEOUT_S
    while True:
        try:
            return pika.BlockingConnection(pika.URLParameters(options.uri))
        except (AMQPError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Publisher:
    """Pika's blocking channel waits for each confirm, so this one runs on the asynchronous connection."""

    def __init__(self, options):
        self.options = options
        self.confirmed = 0
        self.reported = 0

    def run(self):
        options = self.options
        deadline = time.monotonic() + RECONNECT_TIMEOUT_S
        while self.confirmed < options.count:
            self.channel = None
            self.next = self.confirmed
            self.base = self.confirmed  # delivery tag 1 is message `base`
            self.settled = set()
            self.connection = pika.SelectConnection(
                pika.URLParameters(options.uri),
                on_open_callback=lambda connection: connection.channel(on_open_callback=self.on_channel),
                on_open_error_callback=self.on_gone,
                on_close_callback=self.on_gone,
            )
            self.connection.ioloop.start()
            if self.next > self.base:
                deadline = time.monotonic() + RECONNECT_TIMEOUT_S
            if self.confirmed < options.count:
                if self.channel is not None:
                    report(event="resumed", **{"from": self.confirmed, "sent": self.next})
                expect(time.monotonic() < deadline, "no connection")
                time.sleep(0.02)
        report(event="confirmed", count=self.confirmed)

    def on_gone(self, _connection, _error):
        self.connection.ioloop.stop()

    def on_channel(self, channel):
        channel.queue_declare(self.options.queue, durable=True, callback=lambda _ok: self.on_declared(channel))

    def on_declared(self, channel):
        self.channel = channel
        channel.confirm_delivery(self.on_confirm, callback=lambda _ok: self.publish())

    def publish(self):
        options = self.options
        end = min(options.count, self.confirmed + options.outstanding, self.next + PUBLISH_BATCH)
        while self.channel.is_open and self.next < end:
            index = self.next
            self.next += 1
            properties = pika.BasicProperties(delivery_mode=2, message_id=str(index))
            self.channel.basic_publish("", options.queue, options.body(index), properties)
        if self.channel.is_open and self.next < min(options.count, self.confirmed + options.outstanding):
            self.connection.ioloop.add_callback_threadsafe(self.publish)

    def on_confirm(self, frame):
        method = frame.method
        expect(isinstance(method, pika.spec.Basic.Ack), f"delivery tag {method.delivery_tag} was nacked")
        index = self.base + method.delivery_tag - 1
        if method.multiple:
            for below in range(self.confirmed, index):
                self.settled.add(below)
        self.settled.add(index)
        was_full = self.next >= self.confirmed + self.options.outstanding
        while self.confirmed in self.settled:
            self.settled.remove(self.confirmed)
            self.confirmed += 1
        if self.confirmed - self.reported >= REPORT_EVERY:
            self.reported = self.confirmed
            report(event="confirmed", count=self.confirmed)
        if self.confirmed == self.options.count:
            self.connection.close()
        elif was_full:
            self.publish()


def publish(options):
    Publisher(options).run()


class Runs:
    """Reports deliveries of ascending neighbours as one."""

    def __init__(self, session):
        self.session = session
        self.first = self.count = 0
        self.redelivered = False

    def add(self, index, redelivered):
        if index != self.first + self.count or redelivered != self.redelivered:
            self.flush()
            self.first, self.redelivered = index, redelivered
        self.count += 1

    def flush(self):
        if self.count > 0:
            report(
                event="delivered",
                first=self.first,
                count=self.count,
                redelivered=self.redelivered,
                session=self.session,
            )
        self.first += self.count
        self.count = 0


def drain(options):
    session = 0
    while not drain_until_closed(options, session):
        session += 1


def drain_until_closed(options, session):
    connection = connect(options)
    arrived = collections.deque()
    runs = Runs(session)
    last = options.count - 1
    unacked = 0

    def settle():
        """Checks and acknowledges what has arrived; says whether the last thing was the last message."""
        nonlocal unacked
        index = None
        while arrived:
            method, properties, body = arrived.popleft()
            index = int(properties.message_id)
            options.expect_body(index, body)
            runs.add(index, method.redelivered)
            unacked += 1
            if unacked >= ACK_EVERY or index == last:
                unacked = 0
                runs.flush()
                if channel.is_open:
                    channel.basic_ack(method.delivery_tag, multiple=True)
        return index == last

    channel = None
    try:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=options.prefetch)
        channel.basic_consume(options.queue, lambda _channel, *delivery: arrived.append(delivery))
        while True:
            connection.process_data_events(time_limit=30)
            if settle():
                # The queue's last message is always the last one published, perhaps more than once.
                state = channel.queue_declare(options.queue, passive=True)
                if state.method.message_count == 0 and not arrived:
                    connection.close()
                    return True
    except AMQPError:
        if channel is not None:
            settle()
            runs.flush()
        return False
