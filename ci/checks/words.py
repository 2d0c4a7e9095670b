"""Nothing in the tree depends on one machine, and nothing waits to be done in a comment."""

import re

from . import files
from .rule import Rule

# Homes and folders of one machine. A path of the guest or of the system is something else.
MACHINE = re.compile(r"(?<![\w.$}/-])/(?:root|home|Users|work|workspace)/[\w.]")
# Addresses a file may name: where the project's references and tools live, Debian's own mirror, names reserved for
# examples, and the namespace of SVG, which nobody fetches.
HOSTS = (
    "github.com", "www.apache.org", "example.org", "example.com", "127.0.0.1", "localhost", "json-schema.org", "www.w3.org",
    "deb.debian.org",
)  # fmt: skip
# Whatever is in a domain (RFC 2606) or a network (RFC 5737) for examples.
EXAMPLES = re.compile(r"(?:.*\.)?example(?:\.org|\.com)?|192\.0\.2\.\d+")
URL = re.compile(r"\b(?:https?|ftp|git|ssh)://(?:[^\s/@]*@)?([A-Za-z0-9.-]+)")
# Private addresses belong to somebody's network; those of QEMU's own network are the exception.
PRIVATE = re.compile(r"(?<![\d.])(?:10\.(?!0\.2\.)\d+\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+)(?![\d.])")
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
# What a merge leaves behind for somebody to decide.
UNDECIDED = re.compile(r"^(?:<{7}|>{7}|[|]{7})(?: |$)")
# Data of tests, made by a program.
EXEMPT = ("/vectors/",)
# Cargo writes where crates come from; it may only be the public registry.
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def line_problems(path: str, line: str) -> list[str]:
    found = []
    if match := MACHINE.search(line):
        found.append(f"a path of one machine: {match[0]}...")
    for host in URL.findall(line):
        name = host.lower().rstrip(".")
        if name not in HOSTS and not EXAMPLES.fullmatch(name):
            found.append(f"an address that is not on the list of ci/checks/words.py: {host}")
    if match := PRIVATE.search(line):
        found.append(f"a private address: {match[0]}")
    if match := LATER.search(line):
        found.append(f"{match[0]}: open work belongs to an issue")
    if UNDECIDED.match(line):
        found.append("a conflict of a merge that nobody has decided")
    if path.endswith("Cargo.lock") and line.startswith("source = ") and line != f'source = "{REGISTRY}"':
        found.append(f"a crate from elsewhere: {line}")
    return found


def problems(texts: dict[str, str]) -> list[str]:
    found = []
    for path, text in texts.items():
        # This file and its examples.
        if path == "ci/checks/words.py" or any(part in f"/{path}" for part in EXEMPT):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{path}:{number}: {problem}" for problem in line_problems(path, line)]
    return found


RULE = Rule(
    "words and addresses",
    problems,
    files.texts,
    good=[
        {"a.md": "see https://github.com/a/b and /proc/self/fd, /etc/passwd, $HOME/x, target/work/x, 10.0.2.15"},
        {"a.rs": "https://vm.example.org http://evil.example https://192.0.2.1:81"},
        {"Cargo.lock": f'source = "{REGISTRY}"\n'},
    ],
    bad=[
        ("a merge's leftovers", {"a.md": "<<<<<<< HEAD\nthis\n======="}, "a.md:1: a conflict of a merge"),
        ("a checkout's path", {"a.rs": 'open("/workspace/x")'}, "a.rs:1: a path of one machine"),
        ("a home", {"a.sh": "\ncd /root/.cargo\n"}, "a.sh:2: a path of one machine"),
        ("a host", {"a.toml": 'index = "https://mirror.internal.example.net/index"'}, "mirror.internal.example.net"),
        ("a host that begins like an example", {"a.md": "https://example.mirror.test"}, "example.mirror.test"),
        ("a host with a user", {"a.toml": "https://user:word@mirror.test/x"}, "mirror.test"),
        ("a private address", {"a.py": "connect('10.1.2.3')"}, "a private address: 10.1.2.3"),
        ("open work", {"a.rs": "// TO" "DO: more"}, "open work belongs to an issue"),
        ("a crate from elsewhere", {"Cargo.lock": 'source = "git+https://github.com/a/b"'}, "a crate from elsewhere"),
    ],
)
