"""The tasks that worker and caller share."""

import os

from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER_URI"], backend="rpc://")
app.conf.task_default_queue = os.environ["BROKER_QUEUE"]


@app.task
def add(x, y):
    return x + y


@app.task
def multiply(x, y):
    return x * y
