#!/usr/bin/env python3
"""Prints RabbitMQ's definitions with hashes of passwords: `definitions.py FOLDER`.

FOLDER has one file for each user of definitions.json, named as the user, whose first line is the password. The output
contains no password. Each run prints different hashes, because their salts are random.
"""

import base64
import hashlib
import json
import os
import pathlib
import sys


def password_hash(password):
    """RabbitMQ's rabbit_password_hashing_sha256: four bytes of salt, then SHA-256 of salt and password, in base64."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    definitions = json.loads((pathlib.Path(__file__).parent / "definitions.json").read_text())
    for user in definitions["users"]:
        lines = (folder / user["name"]).read_text().splitlines()
        if not lines or len(lines[0]) < 16:
            sys.exit(f"{folder / user['name']}: the first line must be a password of at least 16 characters")
        user["password_hash"] = password_hash(lines[0])
    json.dump(definitions, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
