"""Rust source without comments and strings, so that words in it are words of the language."""

import re

TOKEN = re.compile(
    r"""
    (?P<line>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>\b(?:b|c)"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)


def code_only(text: str) -> str:
    """The text with comments and the content of literals blanked; lines stay where they are."""
    parts = []
    at = 0
    while match := TOKEN.search(text, at):
        parts.append(text[at : match.start()])
        end = block_end(text, match.start()) if match["block"] else match.end()
        parts.append("".join("\n" if c == "\n" else " " for c in text[match.start() : end]))
        at = end
    parts.append(text[at:])
    return "".join(parts)


def block_end(text: str, start: int) -> int:
    """The end of a block comment, which may hold others."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)
