"""Checks a running service against its own OpenAPI description, with schemathesis.

    conformance.py URL ISOLATED CASES SEED PICTURE...

URL is a service whose accounts have the keys below. ISOLATED is a gateway whose broker and stores are unreachable. CASES is
the total number of cases. For each operation schemathesis generates cases from the description: valid ones,
invalid ones, and valid ones that are completed with existing ids and real pictures. In addition this script makes one case for
each documented status. Every answer must conform to the description, and only ISOLATED may answer with 5xx.
"""

import base64
import hashlib
import itertools
import json
import math
import random
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from cryptography import x509
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from vectors import base64_of, key_id, sealed

# Keys: one with all permissions, one of the same client without permissions, one of another client, and one with a low rate.
# Each is an API key, and a user with the password below.
ALL, NOTHING, OTHER, SLOW = "all", "nothing", "other", "slow"
SESSIONS = "/bioserver-app/v2/bio-sessions"
PASSWORD = "demo"
NOWHERE = "00000000-0000-4000-8000-000000000000"
CONFORMANCE = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The share of an operation's cases that must succeed, and the larger share that is completed, because the service refuses some of
# these.
SUCCESS, GOOD = 0.3, 0.4
# A body above every limit: 48 MiB.
TOO_LONG = b"\0" * (48 << 20)
# The parameters of a replay that is never uploaded, and the path parameters of requests for its result.
REPLAY = {"type": "LIVENESS_PASSIVE_VIDEO"}
CHALLENGE = {"mode": "LIVENESS_PASSIVE_VIDEO", "level": "HIGH"}
REPLAY_READERS = {
    *("get_liveness_parameters", "get_replay_status", "get_replay_status_v2"),
    *("get_challenge_result", "get_challenge_result_of_mode"),
}
SLOW_BODY = {"headers": {"Content-Type": "multipart/form-data; boundary=b"}}
PICTURES = {
    "create_face": ["image"],
    "create_session_face": ["image"],
    "create_age": ["image"],
    "match": ["candidateImage"],
    "match_images": ["referenceImage", "candidateImage"],
}
PARTS = {part for parts in PICTURES.values() for part in parts} | {
    *("face", "age", "referenceFace", "imageType", "referenceImageType", "candidateImageType", "threshold", "mode"),
    *("friendlyName", "correlationId", "evidenceId", "signatureDisabled", "imageRotationEnabled"),
}


class Stock:
    """Sessions and faces that exist in the service, and pictures."""

    def __init__(self, url, pictures):
        self.url, self.http = url, requests.Session()
        self.pictures = [open(path, "rb").read() for path in pictures]
        self.session = self.create(imageStorageEnabled=True)
        self.faces = [self.add(self.session, picture) for picture in self.pictures]
        self.kept = self.get(f"{self.session}/faces/{self.faces[0]}")
        # `init_liveness_parameters` gets a session of its own, so its cases do not change the parameters that the others read.
        self.initialised, self.reinitialised = self.create(), self.create()
        for session in (self.initialised, self.reinitialised):
            self.init_replay(session)
        self.uploaded = self.create()
        parameters = self.init_replay(self.uploaded)
        self.upload, self.other_upload = (self.sealed(parameters, video) for video in (b"video", b"another"))
        self.plain = self.create()
        self.plain_face = self.add(self.plain, self.kept)

    def post(self, path, **what):
        answer = self.http.post(self.url + path, headers={"apikey": ALL}, **what)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"].rsplit("/", 1)[1]

    def get(self, below):
        answer = self.http.get(f"{self.url}{SESSIONS}/{below}", headers={"apikey": ALL})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, **members):
        return self.post(SESSIONS, json=members)

    def add(self, session, face):
        """Adds a face by a picture, or by an earlier description."""
        if isinstance(face, bytes):
            what = {"files": {"image": face}, "data": {"imageType": "SELFIE"}}
        else:
            what = {"json": face}
        return self.post(f"{SESSIONS}/{session}/faces", **what)

    def init_replay(self, session):
        """Sets the parameters of a replay in a session, and returns them."""
        path = f"{self.url}{SESSIONS}/{session}/init-liveness-parameters"
        answer = self.http.post(path, headers={"apikey": ALL}, json=REPLAY)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sealed(self, parameters, video):
        """The two parts of an upload of `video`: the metadata (JWE) and the encrypted media."""
        key, prefix = random.randbytes(32), random.randbytes(7)
        media = sealed(video, key, prefix, self.uploaded, parameters["id"])
        claims = {member: parameters[member] for member in ("id", "seed", "serverRandom")} | {
            "mediaKey": base64_of(key),
            "noncePrefix": base64_of(prefix),
            "mediaLength": len(media),
            "mediaDigest": base64_of(hashlib.sha256(media).digest()),
            "contentType": "video/mp4",
        }
        der = base64.b64decode(parameters["certificates"][0])
        header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key_id(der)}
        jwe = JWE(json.dumps(claims).encode(), protected=json.dumps(header))
        jwe.add_recipient(JWK.from_pyca(x509.load_der_x509_certificate(der).public_key()))
        return {"metadata": jwe.serialize(compact=True), "media": media}

    def ids(self, operation):
        """The path parameters. A deletion gets a new session and face."""
        if operation.method == "delete":
            session = self.create()
            return {"session": session, "face": self.add(session, self.kept)}
        own = {"init_liveness_parameters": self.reinitialised, "upload_replay": self.uploaded}
        session = own.get(name(operation))
        if name(operation) in REPLAY_READERS:
            session = self.initialised
        return {"session": session or self.session, "face": random.choice(self.faces)} | CHALLENGE


class Tally:
    """The results of an operation's cases."""

    def __init__(self, name, documented):
        self.name, self.documented = name, documented
        self.cases = self.succeeded = 0
        self.seen, self.faults = {}, []

    def count(self, status):
        self.cases += 1
        self.succeeded += 200 <= status < 300
        self.seen[status] = self.seen.get(status, 0) + 1

    def missing(self):
        found = [f"{status} was never returned" for status in self.documented if status not in self.seen]
        if self.succeeded < SUCCESS * self.cases:
            found.append(f"fewer than {SUCCESS:.0%} of the cases succeed")
        return found + self.faults


def name(operation):
    return operation.definition.raw["operationId"]


def credential(operation, key):
    """The header with a credential of the type that the operation requires; none if `key` is None."""
    if key is None:
        return {}
    if "basic" in schemes(operation):
        return {"Authorization": "Basic " + base64.b64encode(f"{key}:{PASSWORD}".encode()).decode()}
    return {"apikey": key}


def schemes(operation):
    """Types of credentials that the operation accepts."""
    return [scheme for choice in operation.definition.raw.get("security", []) for scheme in choice]


def is_open_to_keys(operation):
    """Whether the key `ALL` is accepted, or none is required. Operations of BWS require tokens instead."""
    return not schemes(operation) or not {"apikey", "basic"}.isdisjoint(schemes(operation))


def of_path(operation, ids):
    return {key: value for key, value in ids.items() if f"{{{key}}}" in operation.path}


def documented(operation):
    return sorted(int(status) for status in operation.definition.raw["responses"] if status != "default")


def generated(operation, mode, count, seed):
    """Cases that schemathesis generates; empty if the operation has no input to vary."""
    cases = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=max(count, 1),
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def collect(case):
        cases.append(case)

    try:
        collect()
    except (hypothesis.errors.Unsatisfiable, schemathesis.errors.InvalidSchema, StopIteration):
        pass
    return cases


def copied(case):
    """A copy of a case, because a case may be sent several times, each time with other values."""
    return case.operation.Case(
        method=case.method,
        path_parameters=dict(case.path_parameters or {}),
        headers=dict(case.headers or {}),
        query=dict(case.query or {}),
        cookies=dict(case.cookies or {}),
        body=case.body,
        media_type=case.media_type,
    )


def completed(case, stock):
    """Completes a case with existing ids, real pictures and values in range, to make its success likely."""
    operation = name(case.operation)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    body = dict(case.body) if isinstance(case.body, dict) else case.body
    if operation == "create_session" and isinstance(body, dict):
        if "ttlSeconds" in body:
            body["ttlSeconds"] = 1 + body["ttlSeconds"] % 86400
        if "callbackURL" in body:
            body["callbackURL"] = "https://service.example/callback"
        case.body = {member: shortened(value) for member, value in body.items()}
    elif operation == "init_liveness_session" and isinstance(body, dict):
        if "callbackURL" in body:
            body["callbackURL"] = "https://service.example/callback"
        case.body = {member: shortened(value) for member, value in body.items()} | {"livenessMode": REPLAY["type"]}
    elif operation == "upload_replay":
        case.body = dict(stock.upload)
    elif operation == "init_liveness_parameters":
        case.body = random.choice([REPLAY, [REPLAY], REPLAY | {"nbChallenge": 3, "imageRetrievalDisabled": False}])
    elif operation == "create_session_face" and case.media_type == "application/json":
        face = {key: value for key, value in stock.kept.items() if random.random() < 0.8}
        face |= {"template": stock.kept["template"], "imageType": "SELFIE"}
        case.body = random.choice([face, {"face": face}])
    elif operation == "face_liveness" and isinstance(body, dict):
        case.body = {member: shortened(value) for member, value in body.items() if member == "sessionId"}
        case.body |= good_body(operation, stock)["json"]
    elif operation in PICTURES and isinstance(body, dict):
        for part in PICTURES[operation]:
            body[part] = random.choice(stock.pictures)
        for part in ("face", "age", "mode"):
            body.pop(part, None)
        if operation in ("create_face", "create_session_face"):
            # The type is either a part of its own or a member of the part `face`.
            kind = body.pop("imageType", "SELFIE")
            body |= random.choice([{"imageType": kind}, {"face": {"imageType": kind}}])
            body |= random.choice([{}, {"mode": "F6_4_VID60X"}])
        if operation == "create_age":
            threshold = body.pop("threshold", 18)
            body |= random.choice([{"threshold": threshold}, {"age": {"threshold": threshold}}])
        if operation == "match":
            body["referenceFace"] = stock.kept
        # The service ignores other parts, and some generated names are not valid names of parts.
        case.body = {part: shortened(value) for part, value in body.items() if part in PARTS}
    return case


def shortened(value):
    """The first 200 characters: the description limits a text in characters, but the service in bytes."""
    return value[:200] if isinstance(value, str) else value


def own_cases(operation, stock, isolated):
    """For each documented status, functions that send a request to which the service must answer with it."""
    path, method = operation.path, operation.method.upper()
    wanted = documented(operation)

    def send(base=stock.url, key=ALL, ids=None, body=None):
        ids = stock.ids(operation) if ids is None else ids
        at = path
        for parameter, value in (CHALLENGE | ids).items():
            at = at.replace(f"{{{parameter}}}", value)
        headers = credential(operation, key)
        what = good_body(name(operation), stock) if body is None else body
        headers |= what.pop("headers", {})
        return requests.request(method, base + at, headers=headers, timeout=60, **what)

    def slow():
        # The key's second request within a second exceeds its rate. A stalled machine may spread the two, hence the retries.
        for _ in range(20):
            send(key=SLOW)
            answer = send(key=SLOW)
            if answer.status_code == 429:
                return answer
        return answer

    def wrong():
        return send(ids={"session": "%FF", "face": "%FF"}) if "{session}" in path else send(body=broken(operation))

    def first_then(other_body):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        send(body=good_body(name(operation), stock) | {"headers": key})
        return send(body=other_body | {"headers": key})

    def at_once():
        # One of several concurrent requests acquires the key. The others find it in progress (409) or completed.
        for _ in range(20):
            key = {"Idempotency-Key": str(uuid.uuid4())}
            bodies = [heavy_body(name(operation), stock) | {"headers": dict(key)} for _ in range(8)]
            with ThreadPoolExecutor(len(bodies)) as pool:
                answers = list(pool.map(lambda body: send(body=body), bodies))
            for answer in answers:
                if answer.status_code == 409:
                    return answer
        return answers[0]

    def other_upload():
        send()
        return send(body=parts_of(stock.other_upload))

    senders = {
        204: [lambda: send(ids={"session": stock.plain, "face": stock.plain_face})] if method == "GET" else [send],
        400: [wrong],
        401: [lambda: send(key=None), lambda: send(key="wrong")],
        403: [lambda: send(key=NOTHING)],
        404: [lambda: send(ids={"session": NOWHERE, "face": NOWHERE}), lambda: send(key=OTHER)],
        408: [lambda: send(body=SLOW_BODY | {"data": slow_parts()})],
        409: [other_upload if name(operation) == "upload_replay" else at_once],
        413: [lambda: send(body=too_long(name(operation)))],
        422: [lambda: first_then(other_body(name(operation), stock))],
        429: [slow],
        500: [lambda: send(base=isolated)],
        503: [lambda: send(base=isolated)],
    }
    return [(status, sender) for status in wanted for sender in senders.get(status, [send])]


def parts_of(upload):
    """The form of an upload, with the metadata first."""
    return {"files": [("metadata", (None, upload["metadata"])), ("media", ("media", upload["media"]))]}


def slow_parts():
    """A body that stalls for longer than the gateway waits."""
    yield b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\nx'
    time.sleep(10.5)


def good_body(operation, stock):
    if operation == "upload_replay":
        return parts_of(stock.upload)
    if operation == "create_session":
        return {"json": {"correlationId": "c5a0aec2-1262-41b6-82bd-e9d60da92ef2"}}
    if operation == "init_liveness_parameters":
        return {"json": [REPLAY]}
    if operation == "init_liveness_session":
        return {"json": {"livenessMode": REPLAY["type"]}}
    if operation == "face_liveness":
        return {"json": {"faceImageBase": base64.b64encode(random.choice(stock.pictures)).decode()}}
    if operation not in PICTURES:
        return {}
    if operation == "create_session_face":
        return {"json": stock.kept}
    return heavy_body(operation, stock)


def heavy_body(operation, stock):
    """A body with pictures, which take some time to process, if the operation takes pictures."""
    if operation not in PICTURES:
        return good_body(operation, stock)
    texts = {
        "create_age": {"age": json.dumps({"threshold": 18})},
        "match_images": {"referenceImageType": "SELFIE", "candidateImageType": "SELFIE"},
        "match": {"candidateImageType": "SELFIE", "referenceFace": json.dumps(stock.kept)},
    }
    return {
        "files": {part: stock.pictures[0] for part in PICTURES[operation]},
        "data": texts.get(operation, {"imageType": "SELFIE"}),
    }


def other_body(operation, stock):
    if operation == "create_session":
        return {"json": {"correlationId": "another"}}
    if operation == "init_liveness_session":
        return {"json": {"livenessMode": REPLAY["type"], "correlationId": "another"}}
    return {"json": stock.kept | {"friendlyName": "another"}}


def broken(operation):
    if name(operation) in ("create_session", "init_liveness_session"):
        return {"json": []}
    return {"data": b"x", "headers": {"Content-Type": "text/plain"}}


def too_long(operation):
    if operation == "upload_replay":
        return parts_of({"metadata": "x" * (20 << 10), "media": b"x"})
    if operation in ("create_session", "face_liveness", "init_liveness_parameters", "init_liveness_session"):
        return {"data": TOO_LONG, "headers": {"Content-Type": "application/json"}}
    return {"files": {part: TOO_LONG for part in PICTURES[operation]}}


def check(tally, case, answer, checks, what):
    """Counts an answer and records its faults."""
    tally.count(answer.status_code)
    try:
        case.validate_response(answer, checks=checks)
    except (Failure, FailureGroup) as failure:
        faults = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
        for fault in faults:
            text = " ".join(f"{fault.title}: {fault.message}".split())
            tally.faults.append(f"{what}: {answer.status_code}: {text[:400]}")


def run(operation, stock, isolated, count, seed):
    tally = Tally(name(operation), documented(operation))
    for status, sender in own_cases(operation, stock, isolated):
        answer = sender()
        checks = CONFORMANCE if status >= 500 else [not_a_server_error, *CONFORMANCE]
        case = operation.Case(path_parameters=of_path(operation, {"session": NOWHERE, "face": NOWHERE}))
        check(tally, case, answer, checks, f"for a {status}")

    left = max(count - tally.cases, 1)
    good = min(left, math.ceil(GOOD * max(count, tally.cases)))
    positive = generated(operation, GenerationMode.POSITIVE, left, seed)
    negative = generated(operation, GenerationMode.NEGATIVE, (left - good) // 2, seed)
    if not negative:
        negative = positive.copy()
    positive = itertools.cycle(positive)
    modes = itertools.cycle([positive, itertools.cycle(negative)])
    for at in range(left):
        is_good = at < good
        case = copied(next(positive if is_good else next(modes)))
        there = of_path(operation, stock.ids(operation))
        # An invalid case may lack a path parameter, without which there is no request.
        case.path_parameters = there if is_good or random.random() < 0.5 else there | case.path_parameters
        if is_good:
            case = completed(case, stock)
        case.headers.update(credential(operation, ALL))
        try:
            answer = case.call(base_url=stock.url, timeout=60)
        except requests.exceptions.InvalidHeader:
            # HTTP does not allow this header value.
            continue
        check(tally, case, answer, [not_a_server_error, *CONFORMANCE], "completed" if is_good else "generated")
    return tally


def main():
    url, isolated, count, seed, *pictures = sys.argv[1:]
    count, seed = int(count), int(seed)
    random.seed(seed)
    started = time.monotonic()
    description = requests.get(f"{url}/openapi.json", timeout=60).json()
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=url)
    # Operations with other credentials have tests of their own.
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [operation for operation in operations if is_open_to_keys(operation)]
    stock = Stock(url, pictures)
    share = math.ceil(count / len(operations))
    tallies = []
    print(f"seed {seed}\n\n{'operation':24}{'cases':>6}{'2xx':>6}{'seconds':>9}  statuses", flush=True)
    for operation in operations:
        began = time.monotonic()
        tally = run(operation, stock, isolated, share, seed)
        tallies.append(tally)
        statuses = " ".join(f"{status}:{times}" for status, times in sorted(tally.seen.items()))
        missing = [status for status in tally.documented if status not in tally.seen]
        shown = statuses + (f"  missing: {missing}" if missing else "")
        part = tally.succeeded / tally.cases
        print(f"{tally.name:24}{tally.cases:6}{part:6.0%}{time.monotonic() - began:9.1f}  {shown}", flush=True)
    total = sum(tally.cases for tally in tallies)
    print(f"\n{total} cases in {time.monotonic() - started:.0f} s", flush=True)
    faults = [(tally.name, fault) for tally in tallies for fault in dict.fromkeys(tally.missing())]
    for operation, fault in faults:
        print(f"{operation}: {fault}")
    if total < count:
        print(f"fewer than {count} cases")
    return 1 if faults or total < count else 0


if __name__ == "__main__":
    sys.exit(main())
