#!/usr/bin/env python3
"""Checks that only the folder of each framework imports its types, and that crates depend only on crates below them.

    borders.py [REPOSITORY]

Prints each file and each dependency that crosses a border, and exits with 1 if there is one. Tests are exempt.
"""

import re
import sys
import tomllib
from pathlib import Path

from rust_sources import crates, production

# The folders and files that may import a framework.
BORDERS = {
    # The bare route is the baseline for the gateway's overhead.
    "axum": ("gateway/src/http/", "loadtest/src/bench/bare_route.rs"),
    "lapin": ("shared/src/broker/rabbitmq/",),
    "ort": ("worker/src/inference/",),
}
# The crates of this repository that each crate may depend on, as in the map of ARCHITECTURE.md. Crates that are not listed may depend on any.
DEPENDENCIES = {
    "faceline-shared": set(),
    "faceline-models": set(),
    "faceline-gateway-store": {"faceline-shared"},
    "faceline-gateway": {"faceline-shared", "faceline-gateway-store"},
    "faceline-worker": {"faceline-shared", "faceline-models"},
    "faceline-fuzz": {"faceline-shared", "faceline-gateway", "faceline-models", "faceline-worker"},
    "faceline-lifecycle": set(),
    "faceline-loadtest": {"faceline-shared", "faceline-gateway"},
}


def upward_dependencies(manifest: Path) -> list[str]:
    """The forbidden dependencies of the crate of `manifest` on crates of this repository."""
    document = tomllib.loads(manifest.read_text())
    name = document["package"]["name"]
    if name not in DEPENDENCIES:
        return []
    ours = {crate for crate in document.get("dependencies", {}) if crate.startswith("faceline")}
    return [f"{name} depends on {crate}" for crate in sorted(ours - DEPENDENCIES[name])]


def main() -> int:
    repository = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    faults = []
    for source in crates(repository):
        faults += upward_dependencies(source.parent / "Cargo.toml")
        for path, text in production(source).items():
            place = path.relative_to(repository).as_posix()
            for crate, places in BORDERS.items():
                if re.search(rf"^(?!\s*//).*\b{crate}::", text, re.MULTILINE) and not place.startswith(places):
                    faults.append(f"{place}: uses {crate}, which only {' and '.join(places)} may know")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
