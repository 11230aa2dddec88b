"""Celery over AMQP: a worker in a process of its own, and what a program asks of it. One JSON object per line."""

import json
import os
import subprocess
import sys

OPTIONS = dict(argument.split("=", 1) for argument in sys.argv[1:])
os.environ["BROKER_URI"] = OPTIONS["uri"]
os.environ["BROKER_QUEUE"] = OPTIONS["queue"]
RESULT_SECONDS_MAX = 60

from celery import chain, group  # noqa: E402
from tasks import add, multiply  # noqa: E402


def report(**event):
    print(json.dumps(event), flush=True)


def check(name, result, expected):
    found = result.get(timeout=RESULT_SECONDS_MAX)
    if found != expected:
        raise AssertionError(f"{name}: expected {expected}, found {found}")
    report(event="check", name=name)


def main():
    worker = subprocess.Popen(
        [sys.executable, "-B", "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "--loglevel", "ERROR"],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        stdout=sys.stderr,
    )
    try:
        check("a chain of tasks", chain(add.s(2, 3), multiply.s(4), add.s(1))(), 21)
        check("a group of tasks", group(add.s(i, i) for i in range(20))(), [2 * i for i in range(20)])
        check("a task that waits for its time", add.apply_async((1, 1), countdown=0.2), 2)
    finally:
        worker.terminate()
        worker.wait()
    report(event="done")


main()
