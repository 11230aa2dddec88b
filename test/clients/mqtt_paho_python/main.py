"""What programs with paho rely on. Arguments: key=value; prints one JSON object per line."""

import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

WAIT_S = 60
options = dict(argument.split("=", 1) for argument in sys.argv[1:])
port = int(options["port"])


def report(**event):
    print(json.dumps(event), flush=True)


class Client:
    """A client with its messages in a queue."""

    def __init__(self, client_id, version=mqtt.MQTTv311, clean=True, expiry=0, will=None):
        self.messages = queue.Queue()
        self.connected = queue.Queue()
        self.subscribed = queue.Queue()
        five = version == mqtt.MQTTv5
        extra = {} if five else {"clean_session": clean}
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=version, **extra)
        self.mqtt.username_pw_set("guest", "guest")
        self.mqtt.on_connect = lambda c, u, flags, reason, p: self.connected.put((flags.session_present, reason))
        self.mqtt.on_message = lambda c, u, message: self.messages.put(message)
        self.mqtt.on_subscribe = lambda c, u, mid, codes, p: self.subscribed.put([code.value for code in codes])
        if will is not None:
            self.mqtt.will_set(*will)
        if five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            self.mqtt.connect("127.0.0.1", port, clean_start=clean, properties=properties)
        else:
            self.mqtt.connect("127.0.0.1", port)
        self.mqtt.loop_start()
        self.present, reason = self.connected.get(timeout=WAIT_S)
        assert reason.value == 0, reason

    def subscribe(self, *arguments, **named):
        self.mqtt.subscribe(*arguments, **named)
        return self.subscribed.get(timeout=WAIT_S)

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        self.mqtt.publish(topic, payload, qos, retain, properties).wait_for_publish(WAIT_S)

    def take(self, count):
        return [self.messages.get(timeout=WAIT_S) for _ in range(count)]

    def leave(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def break_off(self):
        self.mqtt.loop_stop()
        self.mqtt._sock_close()


def every_qos(version):
    subscriber = Client("py-sub", version)
    assert subscriber.subscribe("py/qos/#", 2) == [2]
    publisher = Client("py-pub", version)
    for qos in (0, 1, 2):
        for index in range(50):
            publisher.publish(f"py/qos/{qos}", f"{index}", qos)
        got = subscriber.take(50)
        assert [message.payload.decode() for message in got] == [str(index) for index in range(50)]
        assert {message.qos for message in got} == {qos}
    subscriber.leave()
    publisher.leave()


def retained(version):
    publisher = Client("py-ret", version)
    publisher.publish("py/retained", "kept", 1, True)
    late = Client("py-late", version)
    late.subscribe("py/retained", 1)
    (message,) = late.take(1)
    assert message.retain and message.payload == b"kept"
    publisher.publish("py/retained", "", 1, True)
    publisher.leave()
    late.leave()


def will(version):
    watcher = Client("py-watch", version)
    watcher.subscribe("py/will", 1)
    Client("py-dying", version, will=("py/will", "gone", 1, False)).break_off()
    assert watcher.take(1)[0].payload == b"gone"
    watcher.leave()


def session(version):
    first = Client("py-session", version, False, 600)
    first.subscribe("py/session", 1)
    first.leave()
    publisher = Client("py-pub2", version)
    for index in range(20):
        publisher.publish("py/session", str(index), 1)
    publisher.leave()
    second = Client("py-session", version, False, 600)
    assert second.present
    assert [message.payload.decode() for message in second.take(20)] == [str(index) for index in range(20)]
    second.leave()
    Client("py-session", version, True).leave()


def properties():
    subscriber = Client("py-5", mqtt.MQTTv5)
    identified = Properties(PacketTypes.SUBSCRIBE)
    identified.SubscriptionIdentifier = 42
    subscriber.subscribe("py/5", options=SubscribeOptions(qos=1, noLocal=True), properties=identified)
    given = Properties(PacketTypes.PUBLISH)
    given.ContentType = "text/plain"
    given.ResponseTopic = "py/answer"
    given.CorrelationData = b"\x00\x01\xff"
    given.UserProperty = [("a", "1"), ("a", "2")]
    given.MessageExpiryInterval = 100
    publisher = Client("py-5pub", mqtt.MQTTv5)
    publisher.publish("py/5", "x", 1, False, given)
    got = subscriber.take(1)[0].properties
    assert got.ContentType == "text/plain" and got.ResponseTopic == "py/answer"
    assert got.CorrelationData == b"\x00\x01\xff"
    assert got.UserProperty == [("a", "1"), ("a", "2")]
    assert got.SubscriptionIdentifier == [42]
    assert 0 < got.MessageExpiryInterval <= 100
    subscriber.leave()
    publisher.leave()


def core():
    for name, version in (("3.1", mqtt.MQTTv31), ("3.1.1", mqtt.MQTTv311), ("5.0", mqtt.MQTTv5)):
        for check in (every_qos, retained, will, session):
            check(version)
            report(event="check", name=f"{check.__name__} {name}")
    properties()
    report(event="check", name="properties 5.0")


def before():
    """A session, and messages that are acknowledged."""
    first = Client("py-kill", mqtt.MQTTv5, False, 600)
    first.subscribe([("py/kill/1", SubscribeOptions(qos=1)), ("py/kill/2", SubscribeOptions(qos=2))])
    first.leave()
    publisher = Client("py-killpub", mqtt.MQTTv311)
    for index in range(200):
        publisher.publish(f"py/kill/{1 + index % 2}", str(index), 1 + index % 2)
    publisher.publish("py/kill/retained", "kept", 2, True)
    report(event="check", name="acknowledged")


def after():
    second = Client("py-kill", mqtt.MQTTv5, False, 600)
    assert second.present
    got = sorted(int(message.payload) for message in second.take(200))
    assert got == list(range(200)), got
    second.subscribe("py/kill/retained", 0)
    assert second.take(1)[0].payload == b"kept"
    second.leave()
    report(event="check", name="all there")


{"core": core, "before": before, "after": after}[options["phase"]]()
report(event="done")
