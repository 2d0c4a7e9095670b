"""SPICE crates and devices do not know each other: they meet in vmm/ports and are joined in vmm/cli."""

from . import graph
from .graph import Crate, Graph
from .rule import Rule

JOINS = "vmm/cli"
# What a crate under spice/ must be usable without.
MACHINE = ("vmm/base", "vmm/machine", "vmm/migration", "vmm/config", "vmm/control")
KVM = ("vm-memory", "vmm-sys-util", "vm-superio", "virtio-queue", "linux-loader", "event-manager")


def side(crate: Crate) -> str:
    return (crate.folder or "").partition("/")[0]


def is_machine(crate: Crate) -> bool:
    return crate.folder in MACHINE or crate.name in KVM or crate.name.startswith("kvm-")


def problems(crates: Graph) -> list[str]:
    found = []
    for key, crate in crates.items():
        if crate.folder is None or crate.folder == JOINS:
            continue
        sides = set()
        for other, way in graph.reach(crates, key).items():
            target = crates[other]
            sides.add(side(target))
            if side(crate) == "spice" and (side(target) == "devices" or is_machine(target)):
                found.append(f"a SPICE crate reaches the machine: {' -> '.join(way)}")
            if side(crate) == "devices" and side(target) == "spice":
                found.append(f"a device reaches SPICE: {' -> '.join(way)}")
            if crate.folder == "vmm/ports" and other != key and target.folder is not None:
                found.append(f"vmm/ports is a leaf: {' -> '.join(way)}")
        if {"spice", "devices"} <= sides and side(crate) == "vmm":
            found.append(f"{crate.folder} joins SPICE and devices; only {JOINS} does")
    return found


def crate(folder: str, *needs: str) -> Crate:
    return Crate(f"caraway-{folder.rpartition('/')[2]}", "1", folder=folder, needs=frozenset(f"{n} 1" for n in needs))


def tree(*changed: Crate) -> Graph:
    """A small copy of this project, with some crates replaced."""
    usual = graph.example(
        Crate("bytes", "1"), Crate("vm-memory", "1"), Crate("kvm-ioctls", "1"),
        crate("vmm/ports", "bytes"), crate("vmm/base", "vm-memory"),
        crate("vmm/machine", "caraway-base", "caraway-pci", "kvm-ioctls"),
        crate("devices/pci", "caraway-base"), crate("devices/qxl", "caraway-pci", "caraway-ports"),
        crate("spice/image", "bytes"), crate("spice/server", "caraway-image", "caraway-ports"),
        crate("vmm/cli", "caraway-machine", "caraway-qxl", "caraway-server"),
    )  # fmt: skip
    return usual | graph.example(*changed)


RULE = Rule(
    "dependencies point one way",
    problems,
    graph.load,
    good=[tree()],
    bad=[
        ("SPICE to a device", tree(crate("spice/image", "caraway-pci")), "caraway-image -> caraway-pci"),
        (
            "SPICE to guest memory, by way of another crate",
            tree(crate("spice/image", "between"), Crate("between", "1", needs=frozenset(["vm-memory 1"]))),
            "caraway-server -> caraway-image -> between -> vm-memory",
        ),
        ("SPICE to KVM", tree(crate("spice/server", "kvm-ioctls")), "caraway-server -> kvm-ioctls"),
        ("SPICE to the machine", tree(crate("spice/server", "caraway-base")), "caraway-server -> caraway-base"),
        ("a device to SPICE", tree(crate("devices/qxl", "caraway-image")), "caraway-qxl -> caraway-image"),
        ("a second join", tree(crate("vmm/control", "caraway-qxl", "caraway-server")), "vmm/control joins"),
        ("ports is no leaf", tree(crate("vmm/ports", "caraway-image")), "leaf: caraway-ports -> caraway-image"),
    ],
)
