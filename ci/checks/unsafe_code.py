"""`unsafe` lives in a few named modules; every other crate forbids it. Each use says why it is sound."""

import re
from pathlib import PurePosixPath

from . import files
from .rule import Rule
from .rust_source import code_only

# KVM's ioctls and the page a vCPU shares with it; signals, descriptors and threads.
MODULES = ("vmm/machine/src/kvm/", "vmm/machine/src/sys/")
# Runs in a guest: bare metal, where nothing else is possible.
GUESTS = "guest-drivers/"
UNSAFE = re.compile(r"\bunsafe\b")
# What needs a reason of its own: a block, or an implementation of an unsafe trait.
USE = re.compile(r"\bunsafe\s*(?:\{|impl\b)")
# How far above its use a reason may end: the lines of one statement.
NEAR = 3


def reasoned(lines: list[str], number: int) -> bool:
    """Whether a SAFETY comment stands on the line with this index or right above it."""
    if "SAFETY:" in lines[number]:
        return True
    above = number - 1
    while above >= 0 and number - above <= NEAR and not lines[above].lstrip().startswith("//"):
        above -= 1
    while above >= 0 and lines[above].lstrip().startswith("//"):
        if "SAFETY:" in lines[above]:
            return True
        above -= 1
    return False


def problems(sources: dict[str, str]) -> list[str]:
    found = []
    users = {str(PurePosixPath(module).parent) for module in MODULES}
    for path, text in sources.items():
        if not path.endswith(".rs"):
            continue
        code = code_only(text)
        guest = path.startswith(GUESTS)
        allowed = guest or path.startswith(MODULES)
        if not guest and re.search(r"\b(?:allow|expect)\s*\([^)]*\bunsafe_code\b", code) and not allowed:
            found.append(f"{path}: allows unsafe code; only {', '.join(MODULES)} may")
        lines = text.splitlines()
        for number, line in enumerate(code.splitlines()):
            if not UNSAFE.search(line):
                continue
            if not allowed:
                found.append(f"{path}:{number + 1}: unsafe; only {', '.join(MODULES)} may")
            elif USE.search(line) and not reasoned(lines, number):
                found.append(f"{path}:{number + 1}: unsafe without a SAFETY comment")
        root = re.fullmatch(r"(.+/src)/(?:lib|main)\.rs", path)
        if root and not guest:
            wanted = "deny" if root[1] in users else "forbid"
            if not re.search(rf"#!\[{wanted}\(unsafe_code\)\]", code):
                found.append(f"{path}: #![{wanted}(unsafe_code)] is missing")
    return found


LIB = "#![forbid(unsafe_code)]\n"
BLOCK = "// SAFETY: it is.\nlet x = unsafe { f() };\n"

RULE = Rule(
    "unsafe code",
    problems,
    files.texts,
    good=[
        {"a/src/lib.rs": LIB + '// unsafe {\nlet s = "unsafe { }"; let r = r#"unsafe "{"#; /* unsafe /* { */ */\n'},
        {"a/src/lib.rs": LIB + "let c = '\"'; let d = b'\\''; fn f<'a>(x: &'a str) {} // unsafe\n"},
        {"vmm/machine/src/lib.rs": "#![deny(unsafe_code)]\n", "vmm/machine/src/kvm/vm.rs": BLOCK},
        {"guest-drivers/a/src/lib.rs": "// SAFETY: one\n// and two.\nlet x =\n    unsafe { f() };\n"},
    ],
    bad=[
        ("no forbid", {"a/src/lib.rs": "fn main() {}\n"}, "a/src/lib.rs: #![forbid(unsafe_code)] is missing"),
        ("forbid in a comment", {"a/src/main.rs": f"// {LIB}"}, "is missing"),
        ("deny where forbid belongs", {"a/src/lib.rs": "#![deny(unsafe_code)]\n"}, "#![forbid(unsafe_code)] is missing"),
        ("a block elsewhere", {"a/src/x.rs": BLOCK}, "a/src/x.rs:2: unsafe; only"),
        ("a block after a char", {"a/src/x.rs": "let c = '\"'; unsafe { f() }; let d = '\"';"}, "x.rs:1: unsafe; only"),
        ("a function elsewhere", {"a/tests/x.rs": "unsafe fn f() {}\n"}, "a/tests/x.rs:1: unsafe; only"),
        ("allowed elsewhere", {"a/src/x.rs": "#![allow(unsafe_code)]\n"}, "a/src/x.rs: allows unsafe code"),
        ("no reason", {"vmm/machine/src/kvm/vm.rs": "\nlet x = unsafe { f() };\n"}, "vm.rs:2: unsafe without"),
        ("no reason in a guest", {"guest-drivers/a/src/x.rs": "unsafe impl Sync for X {}\n"}, "x.rs:1: unsafe without"),
        ("a reason far away", {"guest-drivers/a/src/x.rs": BLOCK + "f();\n" * 4 + "unsafe { g() }\n"}, "x.rs:7: unsafe"),
    ],
)
