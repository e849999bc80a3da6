#!/usr/bin/env python3
"""Makes the test vectors of replays anew, with other libraries than the service's: cryptography and jwcrypto.

    PYTHONPATH=~/.cache/faceline/tools/jwcrypto python3 vectors.py

Writes `challenges.json` (seeds with their challenges), `upload.json` (an upload, and the key that opens it: published, so for tests
only) and `media.bin` (the part `media` of that upload). `docs/capture-client.md` describes the format. The keys are new each time.
"""

import base64
import datetime
import hashlib
import json
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

HERE = Path(__file__).parent
SEEDS = [0, 1, 2, 3, 7, 42, 99, 255, 256, 1000, 65535, 65536, 123456789, 271828182, 314159265, 1000000007, 1150867590, 1618033988,
         2147483646, 2147483647]
CHUNK = 64 << 10
SESSION = "7b4e38f6-de53-4dd5-a8b8-985833f771d2"
REPLAY = "réplay-1"
PLAIN = bytes(at % 251 for at in range(CHUNK + 5))


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key_id(certificate: bytes) -> str:
    """The `kid` of a certificate."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def challenges(seed: int, count: int = 6) -> list[str]:
    digest = hashlib.sha256(f"faceline-challenge-1:{seed}".encode()).digest()
    chosen: list[str] = []
    for at in range(count):
        number = int.from_bytes(digest[4 * at : 4 * at + 4], "big")
        allowed = [name for name in ("up", "down", "left", "right") if chosen[-1:] != [name]]
        chosen.append(allowed[number % len(allowed)])
    return chosen


def sealed(plain: bytes, key: bytes, prefix: bytes, session: str, replay: str) -> bytes:
    associated = b"faceline-media-1\0" + session.encode() + b"\0" + replay.encode()
    chunks = [plain[at : at + CHUNK] for at in range(0, len(plain), CHUNK)] or [b""]
    nonces = (prefix + at.to_bytes(4, "big") + bytes([at == len(chunks) - 1]) for at in range(len(chunks)))
    return b"".join(AESGCM(key).encrypt(nonce, chunk, associated) for nonce, chunk in zip(nonces, chunks))


def certificate_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Faceline test vectors")])
    begin = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin.replace(year=2046))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def main() -> None:
    vectors = [{"seed": seed, "challenges": challenges(seed)} for seed in SEEDS]
    lines = ",\n".join("  " + json.dumps(vector) for vector in vectors)
    (HERE / "challenges.json").write_text(f"[\n{lines}\n]\n")

    recipient = ec.generate_private_key(ec.SECP256R1())
    certificate = certificate_of(recipient)
    key, prefix, server_random = os.urandom(32), os.urandom(7), os.urandom(32)
    media = sealed(PLAIN, key, prefix, SESSION, REPLAY)
    metadata = {
        "id": REPLAY,
        "seed": 1150867590,
        "serverRandom": base64_of(server_random),
        "mediaKey": base64_of(key),
        "noncePrefix": base64_of(prefix),
        "mediaLength": len(media),
        "mediaDigest": base64_of(hashlib.sha256(media).digest()),
        "contentType": "video/mp4",
        "mirrored": True,
        "deviceInfo": {"deviceModel": "SM-G935F", "osType": "Android", "osVersion": "7.0"},
        "sdkInfo": {"sdkVersion": "1.0.0"},
        "events": [{"challenge": 0, "shownAt": 1200}, {"challenge": 1, "shownAt": 3100}],
    }
    header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": key_id(certificate)}
    jwe = JWE(json.dumps(metadata, ensure_ascii=False).encode(), protected=json.dumps(header))
    jwe.add_recipient(JWK.from_pyca(recipient.public_key()))
    pkcs8 = recipient.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    upload = {
        "session": SESSION,
        "certificate": base64_of(certificate),
        "privateKey": base64_of(pkcs8),
        "claims": metadata,
        "metadata": jwe.serialize(compact=True),
        "plaintext": {"length": len(PLAIN), "sha256": hashlib.sha256(PLAIN).hexdigest()},
    }
    (HERE / "upload.json").write_text(json.dumps(upload, indent=2, ensure_ascii=False) + "\n")
    (HERE / "media.bin").write_bytes(media)


if __name__ == "__main__":
    main()
