#!/usr/bin/env python3
"""Builds and runs all tests of the workspace, those of `cargo test --workspace --no-fail-fast`, in less time.

    run-tests.py

Cargo runs one test program after the other. But the end-to-end tests wait for servers for most of their time, and many tests of
the worker compute for minutes. So those run beside the end-to-end tests at the lowest priority, and use little but idle CPU
time. Their output follows when they have ended.

Prints which programs failed, and exits with 1 if there is one.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CARGO = os.environ.get("CARGO", "cargo")
BUILD = [CARGO, "test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]
DOCUMENTATION_TESTS = [CARGO, "test", "--workspace", "--doc", "--no-fail-fast"]
# Environment variables that Cargo sets for the programs that it starts.
VARIABLES = tomllib.loads((REPOSITORY / ".cargo/config.toml").read_text())["env"]
END_TO_END = ("faceline-e2e", "it")
WORKER = ("faceline-worker", "faceline_worker")
# Modules of the worker whose tests compute on pictures and videos, with long time limits.
COMPUTING = ("matching::", "picture::", "pipeline::", "replay::")
LOWEST_PRIORITY = 19


@dataclass(frozen=True)
class Program:
    """A test program, of one target of a package. The arguments choose among its tests."""

    package: str
    target: str
    folder: Path
    executable: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.package, self.target, *self.arguments])

    def start(self, **options) -> subprocess.Popen:
        """Starts it as Cargo does: in the package's folder, with Cargo's variables and those of `.cargo/config.toml`."""
        own = {"CARGO_MANIFEST_DIR": str(self.folder), "CARGO_PKG_NAME": self.package}
        environment = VARIABLES | os.environ | own
        return subprocess.Popen([self.executable, *self.arguments], cwd=self.folder, env=environment, **options)

    def succeeds(self) -> bool:
        print(f"     Running {self}", flush=True)
        return self.start().wait() == 0


def build() -> dict[tuple[str, str], Program]:
    """Builds all tests. Returns their programs by package and target, in the order in which they were built."""
    cargo = subprocess.run(BUILD, stdout=subprocess.PIPE, text=True)
    if cargo.returncode:
        sys.exit(cargo.returncode)
    programs = {}
    for message in map(json.loads, cargo.stdout.splitlines()):
        if message["reason"] != "compiler-artifact" or not message["profile"]["test"] or not message["executable"]:
            continue
        manifest = Path(message["manifest_path"])
        package = tomllib.loads(manifest.read_text())["package"]["name"]
        program = Program(package, message["target"]["name"], manifest.parent, message["executable"])
        key = (program.package, program.target)
        # A library and a program of one package may not have one name, or one of them would not be tested.
        assert key not in programs, f"two test programs are called {program}"
        programs[key] = program
    return programs


def main() -> int:
    programs = build()
    end_to_end, worker = programs.pop(END_TO_END), programs.pop(WORKER)
    computing = replace(worker, arguments=COMPUTING)
    rest_of_worker = replace(worker, arguments=tuple(part for module in COMPUTING for part in ("--skip", module)))

    failed = []
    with tempfile.TemporaryFile("w+") as output:
        beside = computing.start(stdout=output, stderr=output, preexec_fn=lambda: os.nice(LOWEST_PRIORITY))
        if not end_to_end.succeeds():
            failed.append(end_to_end)
        print(f"     Running {computing}, begun beside the end-to-end tests", flush=True)
        if beside.wait():
            failed.append(computing)
        output.seek(0)
        print(output.read(), flush=True)
    failed += [program for program in [rest_of_worker, *programs.values()] if not program.succeeds()]
    documentation_fails = subprocess.run(DOCUMENTATION_TESTS).returncode != 0

    for program in failed:
        print(f"failed: {program}", file=sys.stderr)
    if documentation_fails:
        print("failed: the examples in the documentation", file=sys.stderr)
    return 1 if failed or documentation_fails else 0


if __name__ == "__main__":
    sys.exit(main())
