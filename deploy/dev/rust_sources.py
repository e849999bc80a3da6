"""The production sources of the crates of a repository: files of tests, and the tests in other files, are left out."""

import re
from pathlib import Path

ROOTS = {"lib.rs", "main.rs"}
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
VISIBILITY = r"(?:pub(?:\([^)]*\))?\s+)?"
TEST_MODULE = re.compile(rf"^#\[cfg\(test\)\]\s*(?:#\[[^\n]*\]\s*)*{VISIBILITY}mod (\w+)\s*(;|\{{)", re.MULTILINE)


def crates(repository: Path) -> list[Path]:
    """The source folders of all crates."""
    roots = [path for name in ROOTS for path in repository.rglob(f"src/{name}")]
    return sorted({root.parent for root in roots if "target" not in root.relative_to(repository).parts})


def production(source: Path) -> dict[Path, str]:
    """The files of a crate with what precedes the inline test modules in them."""
    texts = {path: path.read_text() for path in sorted(source.rglob("*.rs"))}
    of_tests = {path for file, text in texts.items() for path in test_files(file, text)}
    return {path: before_tests(text) for path, text in texts.items() if path not in of_tests}


def test_files(file: Path, text: str) -> set[Path]:
    """The files of the modules that `file` declares for tests only, with everything below them."""
    folder = file.parent if file.name in ROOTS or file.name == "mod.rs" else file.with_suffix("")
    found: set[Path] = set()
    for name, form in TEST_MODULE.findall(text):
        if form == ";":
            found |= {folder / f"{name}.rs", *(folder / name).rglob("*.rs")}
    return found


def before_tests(text: str) -> str:
    inline = next((match for match in TEST_MODULE.finditer(text) if match[2] == "{"), None)
    return text[: inline.start()] if inline else text
