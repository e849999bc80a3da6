#!/usr/bin/env python3
"""Finds files of production code that are too long.

    file-lengths.py [REPOSITORY]
    file-lengths.py --self-test

A file counts up to its `#[cfg(test)] mod tests`. Tables may be longer if `TABLES` lists them. Prints each fault, and exits
with 1 if there is one.
"""

import sys
import tempfile
import unittest
from pathlib import Path

from rust_sources import crates, production

MAX_LINES = 400
# Files that may be longer, with the reason: splitting a table does not make it clearer.
TABLES: dict[str, str] = {}


def check(repository: Path, tables: dict[str, str]) -> list[str]:
    faults = []
    lengths = {
        path.relative_to(repository).as_posix(): len(text.splitlines())
        for source in crates(repository)
        for path, text in production(source).items()
    }
    for path, length in lengths.items():
        if length > MAX_LINES and path not in tables:
            faults.append(f"{path}: {length} lines before its tests; at most {MAX_LINES} are allowed")
    for path in tables:
        if lengths.get(path, 0) <= MAX_LINES:
            faults.append(f"{path}: is listed as a long table, but has at most {MAX_LINES} lines")
    return faults


class SelfTest(unittest.TestCase):
    def faults(self, text: str, tables: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "crate/src"
            source.mkdir(parents=True)
            (source / "lib.rs").write_text(text)
            return check(Path(folder), tables)

    def test_a_long_file_is_found_unless_it_is_a_table(self) -> None:
        text, path = "// A line.\n" * (MAX_LINES + 1), "crate/src/lib.rs"
        self.assertEqual(len(self.faults(text, {})), 1)
        self.assertEqual(self.faults(text, {path: "a table"}), [])
        self.assertEqual(len(self.faults("", {path: "no longer long"})), 1)

    def test_tests_do_not_count(self) -> None:
        text = "// A line.\n" * (MAX_LINES - 1) + "\n#[cfg(test)]\nmod tests {\n" + "\n" * MAX_LINES + "}\n"
        self.assertEqual(self.faults(text, {}), [])


def main(arguments: list[str]) -> int:
    if arguments == ["--self-test"]:
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(SelfTest)
        return 0 if unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful() else 1
    faults = check(Path(arguments[0]) if arguments else Path(__file__).parents[2], TABLES)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
