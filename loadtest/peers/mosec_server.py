"""A face coding service on mosec: no broker, one process a core. `mosec_server.py --port PORT`."""

import os

import msgspec
from mosec import Server, Worker

from pipeline import FacePipeline


class FaceWorker(Worker):
    def __init__(self):
        self.pipeline = FacePipeline()

    def deserialize(self, data):
        return data

    def serialize(self, data):
        return msgspec.json.encode(data)

    def forward(self, data):
        return self.pipeline.code(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(FaceWorker, num=int(os.environ["PEER_PROCESSES"]))
    server.run()
