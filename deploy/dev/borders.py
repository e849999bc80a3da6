#!/usr/bin/env python3
"""Checks that the types of a framework stay in the one folder that may know it.

    borders.py [REPOSITORY]

Prints each file that crosses a border, and exits with 1 if there is one. Tests may use what they like.
"""

import re
import sys
from pathlib import Path

from rust_sources import crates, production

BORDERS = {
    "axum": "gateway/src/http",
    "lapin": "shared/src/broker/rabbitmq",
    "ort": "worker/src/inference",
}


def main() -> int:
    repository = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    faults = []
    for source in crates(repository):
        for path, text in production(source).items():
            place = path.relative_to(repository).as_posix()
            for crate, folder in BORDERS.items():
                if re.search(rf"^(?!\s*//).*\b{crate}::", text, re.MULTILINE) and not place.startswith(folder):
                    faults.append(f"{place}: uses {crate}, which only {folder} may know")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
