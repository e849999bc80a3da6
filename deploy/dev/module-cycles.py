#!/usr/bin/env python3
"""Finds cycles of files inside each crate of a repository: files that import from each other, directly or indirectly.

    module-cycles.py [REPOSITORY]
    module-cycles.py --self-test

Prints each cycle with the imports that close it, and exits with 1 if there is one. Only production code counts: files
of tests, and everything from `#[cfg(test)] mod tests` on, are left out. An import is followed through re-exports to the
file that defines the item. A re-export itself is no edge: that `mod.rs` re-exports from its children is its purpose.
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

from rust_sources import COMMENT, ROOTS, crates, production

# Path of a module below its crate, empty for `lib.rs` and `main.rs`.
Module = tuple[str, ...]
# The files that each file imports from.
Graph = dict[Module, set[Module]]

USE = re.compile(r"^[ \t]*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.MULTILINE)
# Maximum length of a chain of re-exports that is followed. A longer chain would itself be a cycle.
MAX_REEXPORTS = 8


class Import(NamedTuple):
    """One name that a file imports: where its path begins, the path from there, and the name it gets."""

    base: Module
    path: list[str]
    name: str
    is_reexport: bool


class Crate:
    """The files of a crate and what they import."""

    def __init__(self, source: Path) -> None:
        self.source = source
        texts = {path: COMMENT.sub("", text) for path, text in production(source).items()}
        # Beside `lib.rs`, `main.rs` is the root of a separate crate, for which the library is a dependency.
        if source / "lib.rs" in texts:
            texts.pop(source / "main.rs", None)
        self.files = {module_of(path.relative_to(source)): path for path in texts}
        self.imports = {module: self.imports_of(module, texts[path]) for module, path in self.files.items()}

    def imports_of(self, module: Module, text: str) -> list[Import]:
        found = []
        for visibility, tree in USE.findall(text):
            for path, name in leaves(tree):
                base = self.base(module, path)
                if base is not None:
                    found.append(Import(base, path, name, bool(visibility)))
        return found

    def base(self, module: Module, path: list[str]) -> Module | None:
        """Takes `crate`, `self` and `super` off a path; the module that the rest is relative to, None for other crates."""
        if path[0] == "crate":
            del path[0]
            return ()
        if path[0] in ("self", "super"):
            base = module
            while path and path[0] in ("self", "super"):
                base = base[:-1] if path.pop(0) == "super" else base
            return base
        return module if (*module, path[0]) in self.files else None

    def defining(self, base: Module, path: list[str], depth: int = 0) -> Module:
        """The file that defines an item."""
        at, rest = base, list(path)
        while rest and (*at, rest[0]) in self.files:
            at, rest = (*at, rest[0]), rest[1:]
        for item in self.imports.get(at, []) if rest and depth < MAX_REEXPORTS else []:
            if item.is_reexport and item.name == rest[0]:
                return self.defining(item.base, item.path + rest[1:], depth + 1)
        return at

    def graph(self) -> Graph:
        graph: Graph = {module: set() for module in self.files}
        for module, imports in self.imports.items():
            targets = {self.defining(item.base, item.path) for item in imports if not item.is_reexport}
            # A file that imports from its own inline modules does not import from another file.
            graph[module] = {target for target in targets if target in self.files and target != module}
        return graph


def module_of(path: Path) -> Module:
    if path.name in ROOTS or path.name == "mod.rs":
        return path.parts[:-1]
    return (*path.parts[:-1], path.stem)


def leaves(tree: str) -> list[tuple[list[str], str]]:
    """The paths of a `use` tree, each with the name that it brings into scope."""
    tree = " ".join(tree.split())
    if "{" not in tree:
        path, _, alias = tree.partition(" as ")
        segments = [segment.strip() for segment in path.split("::") if segment.strip()]
        if len(segments) > 1 and segments[-1] == "self":
            segments.pop()
        return [(segments, alias or segments[-1])] if segments else []
    head, rest = tree.split("{", 1)
    parts, depth, part = [], 0, ""
    for character in rest[: rest.rindex("}")]:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    return [leaf for piece in [*parts, part] if piece.strip() for leaf in leaves(head + piece.strip())]


def cycles(graph: Graph) -> list[list[Module]]:
    """The strongly connected components of more than one file (Tarjan 1972)."""
    index: dict[Module, int] = {}
    low: dict[Module, int] = {}
    stack: list[Module] = []
    found: list[list[Module]] = []

    def visit(module: Module) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in index:
                visit(target)
            if target in stack:
                low[module] = min(low[module], low[target])
        if low[module] == index[module]:
            component = stack[stack.index(module) :]
            del stack[-len(component) :]
            if len(component) > 1:
                found.append(sorted(component))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def check(repository: Path) -> list[str]:
    """The cycles of all crates, each as a text of several lines."""
    reports = []
    for source in crates(repository):
        crate = Crate(source)
        graph = crate.graph()
        for cycle in cycles(graph):
            names = {module: crate.files[module].relative_to(source).as_posix() for module in cycle}
            lines = [f"{source.relative_to(repository)}: {len(cycle)} files import from each other:"]
            for module in cycle:
                targets = sorted(names[target] for target in graph[module].intersection(cycle))
                lines.append(f"    {names[module]} imports from {', '.join(targets)}")
            reports.append("\n".join(lines))
    return reports


class SelfTest(unittest.TestCase):
    def reports(self, files: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / "crate/src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check(Path(folder))

    def test_a_tree_has_no_cycle(self) -> None:
        files = {"lib.rs": "mod a;\nmod b;\npub use self::a::A;", "a.rs": "use crate::b::{B, self};", "b.rs": "use std::fmt;"}
        self.assertEqual(self.reports(files), [])

    def test_two_files_that_import_from_each_other(self) -> None:
        report = self.reports({"lib.rs": "", "a.rs": "use super::b::{\n    c,\n};", "b.rs": "use crate::{x::y, a::A as Z};"})
        self.assertEqual(len(report), 1)
        self.assertIn("a.rs imports from b.rs", report[0])
        self.assertIn("b.rs imports from a.rs", report[0])

    def test_a_child_of_a_parent_that_imports_from_it(self) -> None:
        files = {"main.rs": "", "a/mod.rs": "mod b;\nuse self::b::B;", "a/b.rs": "use super::A;"}
        self.assertEqual(len(self.reports(files)), 1)
        self.assertEqual(self.reports(files | {"a/mod.rs": "mod b;\npub(crate) use self::b::B;\npub struct A;"}), [])

    def test_an_import_through_reexports(self) -> None:
        files = {
            "lib.rs": "pub use a::A;",
            "main.rs": "use library::A;",
            "a/mod.rs": "mod inner;\npub(crate) use self::inner::Hidden as A;",
            "a/inner.rs": "use crate::b::B;",
            "b.rs": "use crate::A;",
        }
        report = self.reports(files)
        self.assertEqual(len(report), 1)
        self.assertIn("b.rs imports from a/inner.rs", report[0])

    def test_a_long_cycle_is_one(self) -> None:
        files = {"lib.rs": "", "a.rs": "use crate::b::X;", "b.rs": "use crate::c::X;", "c.rs": "use crate::a::X;"}
        self.assertEqual(len(self.reports(files)), 1)
        self.assertIn("3 files", self.reports(files)[0])

    def test_tests_and_comments_do_not_count(self) -> None:
        files = {
            "lib.rs": "#[cfg(test)]\nmod testing;",
            "a.rs": "use crate::b::B;",
            "b.rs": "// use crate::a::A;\n#[cfg(test)]\nmod b_tests;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
            "b/b_tests.rs": "use crate::a::A;",
            "testing.rs": "use crate::a::A;",
        }
        self.assertEqual(self.reports(files | {"a.rs": "use crate::{b::B, testing::T};"}), [])


def main(arguments: list[str]) -> int:
    if arguments == ["--self-test"]:
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(SelfTest)
        return 0 if unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful() else 1
    repository = Path(arguments[0]) if arguments else Path(__file__).parents[2]
    reports = check(repository)
    for report in reports:
        print(report, file=sys.stderr)
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
