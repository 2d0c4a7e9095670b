"""The crates of all workspaces and what they depend on, from `cargo metadata`."""

import functools
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .files import CHECKOUT

WORKSPACES = (".", "guest-drivers")
# What this project is built for; crates of other systems are in the lock file and never compiled.
TARGET = "x86_64-unknown-linux-gnu"


@dataclass(frozen=True)
class Crate:
    """A package in the graph."""

    name: str
    version: str
    licence: str | None = "MIT OR Apache-2.0"
    # Relative to the checkout; None for a crate from the registry.
    folder: str | None = None
    # Keys of the graph.
    needs: frozenset[str] = field(default_factory=frozenset)


Graph = dict[str, Crate]


@functools.cache
def load() -> Graph:
    """Every crate that is compiled for this project, development dependencies of its own crates included."""
    graph: Graph = {}
    for workspace in WORKSPACES:
        manifest = CHECKOUT / workspace / "Cargo.toml"
        done = subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET,
             "--manifest-path", str(manifest)],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
        needs = {node["id"]: frozenset(node["dependencies"]) for node in told["resolve"]["nodes"]}
        for package in told["packages"]:
            if package["id"] not in needs:
                continue
            folder = None
            if package["source"] is None:
                folder = str(Path(package["manifest_path"]).parent.relative_to(CHECKOUT))
            graph[package["id"]] = Crate(
                package["name"], package["version"], package["license"], folder, needs[package["id"]]
            )
    return graph


def reach(graph: Graph, start: str) -> dict[str, list[str]]:
    """Every key reachable from `start`, each with the names on the way there."""
    ways = {start: [graph[start].name]}
    waiting = [start]
    while waiting:
        key = waiting.pop()
        for need in sorted(graph[key].needs):
            if need not in ways:
                ways[need] = [*ways[key], graph[need].name]
                waiting.append(need)
    return ways


def example(*crates: Crate) -> Graph:
    """A graph keyed by name and version, for the rules' own tests."""
    return {f"{crate.name} {crate.version}": crate for crate in crates}
