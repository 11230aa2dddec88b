"""The arguments, the known bodies, and the reports on standard output."""

import json
import sys

BODY_OFFSETS = 1024 * 1024
BODY_STRIDE = 7919


class Options:
    def __init__(self, arguments):
        values = dict(argument.split("=", 1) for argument in arguments)
        self.scenario = values["scenario"]
        self.uri = values["uri"]
        self.queue = values["queue"]
        self.count = int(values["count"])
        self.sizes = [int(size) for size in values["sizes"].split(",")]
        self.large_every = int(values["large_every"])
        self.large_bytes = int(values["large_bytes"])
        self.outstanding = int(values["outstanding"])
        self.prefetch = int(values["prefetch"])
        with open(values["pool"], "rb") as pool:
            self.pool = pool.read()

    def size(self, index):
        if index % self.large_every == self.large_every - 1:
            return self.large_bytes
        return self.sizes[index % len(self.sizes)]

    def body(self, index):
        offset = (index * BODY_STRIDE) % BODY_OFFSETS
        return self.pool[offset : offset + self.size(index)]

    def expect_body(self, index, body):
        expect(self.body(index) == body, f"message {index}: contents differ ({len(body)} B)")


def report(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def expect(condition, message):
    if not condition:
        raise SystemExit(message)


def expect_equal(found, expected, what):
    expect(found == expected, f"{what}: expected {expected!r}, found {found!r}")
