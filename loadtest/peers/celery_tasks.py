"""Face coding as a Celery task over RabbitMQ: `celery --app celery_tasks worker`. Pictures travel within the messages."""

import os

from celery import Celery
from celery.signals import worker_process_init

from pipeline import FacePipeline


def make_app():
    app = Celery("faces", broker=os.environ["PEER_BROKER"], backend="rpc://")
    app.conf.update(
        # Bytes travel as they are; JSON would make a third more of them.
        task_serializer="msgpack",
        result_serializer="msgpack",
        accept_content=["msgpack"],
        # A task counts as done when its result is sent, as in the worker of Faceline.
        task_acks_late=True,
        task_default_queue_type="quorum",
        broker_transport_options={"confirm_publish": True},
        worker_prefetch_multiplier=4,
        worker_detect_quorum_queues=True,
    )
    return app


app = make_app()
pipeline = None


@worker_process_init.connect
def load(**_):
    global pipeline
    pipeline = FacePipeline()


@app.task(name="code")
def code(picture):
    return pipeline.code(picture)
