"""The gateway before Celery, with FastAPI: `uvicorn celery_gateway:app`. Each request waits for its task's result."""

from celery_tasks import code
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
# Seconds that a caller waits for a result.
TIMEOUT = 30


@app.get("/ready")
def ready():
    return code.delay(b"").get(timeout=TIMEOUT)


@app.post("/inference")
async def inference(request: Request):
    picture = await request.body()
    return await run_in_threadpool(lambda: code.delay(picture).get(timeout=TIMEOUT))
