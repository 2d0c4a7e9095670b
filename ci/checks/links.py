"""Relative links of the documents lead somewhere, headings included."""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from . import files
from .rule import Rule

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+).+?\1")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
DOCUMENTS = "docs/"


@dataclass(frozen=True)
class Tree:
    """Documents with their text, and the paths of all files."""

    documents: dict[str, str]
    paths: frozenset[str]


def load() -> Tree:
    texts = files.texts()
    return Tree({path: text for path, text in texts.items() if path.endswith(".md")}, frozenset(files.paths()))


def anchors(text: str) -> set[str]:
    """What headings can be linked by, in the way of the forges."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 1
        unique = name
        while unique in found:
            unique = f"{name}-{number}"
            number += 1
        found.add(unique)
    return found


def problems(tree: Tree) -> list[str]:
    found = []
    folders = {folder for path in tree.paths for folder in parents(path)}
    linked = set()
    for path, text in tree.documents.items():
        for target in LINK.findall(CODE.sub("", FENCE.sub("", text))):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = target.partition("#")
            full = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(name))) if name else path
            linked.add(full)
            if full not in tree.paths and full not in folders:
                found.append(f"{path}: the link {target} leads nowhere")
            elif anchor and full in tree.documents and anchor not in anchors(tree.documents[full]):
                found.append(f"{path}: {target}: no such heading")
    for path in tree.documents:
        if path.startswith(DOCUMENTS) and path not in linked:
            found.append(f"{path}: no document links here")
    return found


def parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return [".", *("/".join(parts[: count + 1]) for count in range(len(parts)))]


def tree(**documents: str) -> Tree:
    named = {f"{name.replace('_', '/')}.md": text for name, text in documents.items()}
    return Tree(named, frozenset([*named, "docs/picture.png", "vmm/cli/src/main.rs"]))


RULE = Rule(
    "links of the documents",
    problems,
    load,
    good=[
        tree(README="[a](docs/a.md#one-two-1) [s](vmm/cli) ![p](docs/picture.png)", docs_a="# One `two`\n# One two\n"),
        tree(README="`[a](b.md)`\n```\n[a](b.md)\n```\n[web](https://example.org/x) [here](#top)\n# Top\n"),
    ],
    bad=[
        ("a file that is not there", tree(README="[a](docs/b.md)"), "README.md: the link docs/b.md leads nowhere"),
        ("a picture that is not there", tree(README="![a](docs/b.png)"), "docs/b.png leads nowhere"),
        ("from a folder", tree(README="[a](docs/a.md)", docs_a="[b](docs/picture.png)"), "docs/a.md: the link"),
        ("a heading", tree(README="[a](docs/a.md#two)", docs_a="# One\n```\n# two\n```\n"), "#two: no such heading"),
        ("an orphan", tree(README="text", docs_a="text"), "docs/a.md: no document links here"),
    ],
)
