"""Calls BWS by gRPC, with stubs generated from its protos.

    client.py PROTOS TARGET < calls > answers

Both are JSON lists. A call has `method`, and optionally `images` (a list of `{"file", "tags"}`), `photo`,
`disableLivenessDetection`, `video`, `token`, `metadata`, `timeout` (seconds), `gzip`, and `cancelAfter` (seconds until the call is
cancelled). The methods `services` and `health` call the reflection and the health service. An answer has `code`, `details`,
`trailers`, and `message` unless the call failed.
"""

import json
import sys
import tempfile
import time

import grpc
from google.protobuf.json_format import MessageToDict
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from grpc_tools import protoc

HEALTH = """
syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse { int32 status = 1; }
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
"""
MAX_MESSAGE_BYTES = 64 << 20


def stubs(protos):
    """Compiles the protos as the manual of gRPC for Python describes it."""
    folder = tempfile.mkdtemp()
    with open(f"{folder}/health.proto", "w", encoding="utf-8") as file:
        file.write(HEALTH)
    arguments = ["protoc", f"-I{protos}", f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, "bws.proto", "bwsmessages.proto", "health.proto"]) != 0:
        sys.exit("the protos do not compile")
    sys.path.insert(0, folder)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def request(call):
    """The message of a call."""
    method, images = call["method"], [
        bwsmessages_pb2.ImageData(image=read(image["file"]), tags=image.get("tags", []))
        for image in call.get("images", [])
    ]
    if method == "LivenessDetection":
        return bws_pb2.LivenessDetectionRequest(live_images=images)
    if method == "VideoLivenessDetection":
        return bws_pb2.VideoLivenessDetectionRequest(video=call.get("video", "").encode())
    return bws_pb2.PhotoVerifyRequest(
        live_images=images,
        photo=read(call["photo"]) if "photo" in call else b"",
        disable_liveness_detection=call.get("disableLivenessDetection", False),
    )


def answer(call):
    """Makes a call and returns its answer."""
    if call["method"] == "services":
        messages = ServerReflectionStub(channel).ServerReflectionInfo(iter([ServerReflectionRequest(list_services="")]))
        return sorted(service.name for service in next(messages).list_services_response.service)
    if call["method"] == "health":
        asked = health_pb2.HealthCheckRequest(service=call["service"])
        return health_pb2_grpc.HealthStub(channel).Check(asked).status
    metadata = [tuple(pair) for pair in call.get("metadata", [])]
    if "token" in call:
        metadata.append(("authorization", f"Bearer {call['token']}"))
    future = getattr(bws_pb2_grpc.BioIDWebServiceStub(channel), call["method"]).future(
        request(call),
        timeout=call.get("timeout", 60),
        metadata=metadata,
        compression=grpc.Compression.Gzip if call.get("gzip") else None,
    )
    if "cancelAfter" in call:
        time.sleep(call["cancelAfter"])
        future.cancel()
    seen = {}
    try:
        seen["message"] = MessageToDict(future.result(), always_print_fields_with_no_presence=True)
    except (grpc.RpcError, grpc.FutureCancelledError):
        pass
    seen["code"] = future.code().name
    seen["details"] = future.details()
    seen["trailers"] = {key: value if isinstance(value, str) else "" for key, value in future.trailing_metadata() or ()}
    return seen


protos, target = sys.argv[1:]
stubs(protos)
import bws_pb2  # noqa: E402
import bws_pb2_grpc  # noqa: E402
import bwsmessages_pb2  # noqa: E402
import health_pb2  # noqa: E402
import health_pb2_grpc  # noqa: E402

options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", MAX_MESSAGE_BYTES)]
channel = grpc.insecure_channel(target, options=options)
json.dump([answer(call) for call in json.load(sys.stdin)], sys.stdout)
