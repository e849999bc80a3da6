#!/usr/bin/env python3
"""Checks that the documents name files and folders that exist: paths in backquotes, and relative links."""

import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("shared", "gateway", "worker", "models", "deploy", "loadtest", "docs")
QUOTED = re.compile(r"`((?:" + "|".join(FOLDERS) + r")/[\w./{},-]*)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
CHOICE = re.compile(r"\{([^}]*)\}")


def expand(path: str) -> list[str]:
    """The paths that braces stand for: `a/{b,c}` is `a/b` and `a/c`."""
    parts = CHOICE.split(path)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def missing(document: Path) -> list[str]:
    """The paths in `document` that do not exist."""
    text = document.read_text(encoding="utf-8")
    paths = [ROOT / path for quoted in QUOTED.findall(text) for path in expand(quoted)]
    paths += [document.parent / link for link in LINK.findall(text)]
    return [str(path) for path in paths if not path.exists()]


def main() -> int:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("gateway/api/*.md")]
    faults = [f"{document.relative_to(ROOT)}: {path}" for document in documents for path in missing(document)]
    for fault in faults:
        print(f"{fault} does not exist", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
