"""One version of each crate, above all of those whose types go from crate to crate."""

import re
from collections import defaultdict

from . import graph
from .graph import Crate, Graph
from .rule import Rule

# Two of these in one graph are two sets of unrelated types: a name, or a name and the version that counts.
ONCE = ("vm-memory", "vmm-sys-util", "kvm-bindings", "virtio-queue", "rustls", "tokio", "thiserror 2", "bitflags 2")
# Other crates that may be there twice, each with its reason.
TWICE = {
    "bit-vec": "yasna, which rcgen writes certificates with, is a release behind proptest",
    "bitflags": "version 1 by way of virtio-queue's and event-manager's dependencies",
    "embedded-io": "postcard offers both 0.4 and 0.6 to its users",
    "getrandom": "ring is on 0.2, rand on 0.4",
    "miniz_oxide": "png and its own flate2 are one release apart",
    "syn": "version 2 by most derive macros, 3 by those that have moved on",
}


def problems(crates: Graph) -> list[str]:
    versions = defaultdict(set)
    for crate in crates.values():
        versions[crate.name].add(crate.version)
    found = []
    for entry in ONCE:
        name, _, major = entry.partition(" ")
        counted = [v for v in versions[name] if not major or re.match(rf"{major}\.", v)]
        if len(counted) > 1:
            found.append(f"{name} must be there once: {', '.join(sorted(counted))}")
    for name, there in sorted(versions.items()):
        if len(there) > 1 and name not in TWICE and name not in ONCE:
            found.append(f"{name} is there more than once: {', '.join(sorted(there))}")
    for name in TWICE:
        # An allowance that nobody needs any more would hide the next one.
        if name in versions and len(versions[name]) == 1:
            found.append(f"{name} is there once; take it off the list of ci/checks/versions.py")
    return found


def crates(*named: str) -> Graph:
    return graph.example(*(Crate(*name.split()) for name in named))


RULE = Rule(
    "one version of each crate",
    problems,
    graph.load,
    good=[crates("vm-memory 0.18.0", "bitflags 1.3.2", "bitflags 2.13.2", "thiserror 2.0.1")],
    bad=[
        ("two vm-memory", crates("vm-memory 0.17.1", "vm-memory 0.18.0"), "vm-memory must be there once"),
        ("two vmm-sys-util", crates("vmm-sys-util 0.14.0", "vmm-sys-util 0.15.0"), "vmm-sys-util must be there once"),
        ("two bitflags 2", crates("bitflags 1.3.2", "bitflags 2.1.0", "bitflags 2.2.0"), "bitflags must be there once"),
        ("another one twice", crates("rand 0.9.0", "rand 0.10.0"), "rand is there more than once"),
        ("an allowance too many", crates("syn 3.0.0"), "syn is there once"),
    ],
)
