"""A file is something one reads in one sitting."""

from . import files
from .rule import Rule

MOST = 800
# Made by programs, or texts that are as long as they are.
EXEMPT = ("Cargo.lock", "package-lock.json", "LICENSE-APACHE", "/golden/", "/vectors/")


def problems(texts: dict[str, str]) -> list[str]:
    found = []
    for path, text in texts.items():
        lines = text.count("\n")
        if lines > MOST and not any(part in f"/{path}" for part in EXEMPT):
            found.append(f"{path}: {lines} lines, at most {MOST}")
    return found


RULE = Rule(
    "length of files",
    problems,
    files.texts,
    good=[{"a.rs": "x\n" * MOST, "b/Cargo.lock": "x\n" * 9999, "c/golden/dsdt.dsl": "x\n" * 9999}],
    bad=[("a long file", {"a.rs": "x\n" * (MOST + 1)}, "a.rs: 801 lines")],
)
