"""Our crates are MIT OR Apache-2.0, and everything they are built from may be used under such terms."""

import re

from . import graph
from .graph import Crate, Graph
from .rule import Rule

OURS = "MIT OR Apache-2.0"
# Permissive licences: one of them for every crate, all of them where a crate says AND. IJG asks for the sentence that
# README.md ends with.
ALLOWED = {
    "MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Zlib", "Unlicense",
    "Unicode-3.0", "IJG", "ISC",
}  # fmt: skip


def permits(expression: str) -> bool:
    """Whether an SPDX expression can be met with allowed licences only; one that does not parse cannot."""
    words = re.findall(r"[()]|[^()\s]+", expression.replace("/", " OR "))

    def either() -> bool:
        result = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            result = both() or result
        return result

    def both() -> bool:
        result = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            result = one() and result
        return result

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            result = either()
            if words.pop(0) != ")":
                raise ValueError(expression)
            return result
        if words[:1] == ["WITH"]:
            word = " ".join([word, *words[:2]])
            del words[:2]
        return word in ALLOWED

    try:
        return either() and not words
    except (IndexError, ValueError):
        return False


def problems(crates: Graph) -> list[str]:
    found = []
    for crate in crates.values():
        if crate.folder is not None and crate.licence != OURS:
            found.append(f"{crate.folder}: the licence is {crate.licence!r}, not {OURS!r}")
        elif not permits(crate.licence or ""):
            found.append(f"{crate.name} {crate.version}: the licence {crate.licence!r} is not on the list")
    return found


def licensed(licence: str | None, folder: str | None = None) -> Graph:
    return graph.example(Crate("example", "1", licence, folder))


RULE = Rule(
    "licences",
    problems,
    graph.load,
    good=[
        licensed(OURS, "vmm/base"),
        licensed("MIT/Apache-2.0"),
        licensed("(MIT OR GPL-3.0-only) AND Unicode-3.0"),
        licensed("GPL-2.0-only OR Apache-2.0 WITH LLVM-exception"),
    ],
    bad=[
        ("ours under another licence", licensed("MIT", "vmm/base"), "vmm/base: the licence is 'MIT'"),
        ("ours without a licence", licensed(None, "vmm/base"), "vmm/base: the licence is None"),
        ("a copyleft dependency", licensed("GPL-3.0-only"), "not on the list"),
        ("a copyleft part", licensed("MIT AND MPL-2.0"), "not on the list"),
        ("no licence", licensed(None), "not on the list"),
        ("an expression that does not parse", licensed("MIT OR (Apache-2.0"), "not on the list"),
    ],
)
