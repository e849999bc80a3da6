"""The gateway before Celery, with FastAPI: `uvicorn celery_gateway:app`. Each request waits for its task's result."""

import threading

from celery_tasks import make_app
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
# Results over RPC may be awaited only by the thread that owns the application.
thread = threading.local()
# Seconds that a caller waits for a result.
TIMEOUT = 30


def code(picture):
    if not hasattr(thread, "celery"):
        thread.celery = make_app()
    return thread.celery.send_task("code", [picture]).get(timeout=TIMEOUT)


@app.post("/inference")
async def inference(request: Request):
    picture = await request.body()
    return await run_in_threadpool(code, picture)
