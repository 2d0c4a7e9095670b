"""Recipes: what an image is made of, read from a TOML file and built into the cache."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from . import cache, initramfs, kernel, modules, rootfs

FOLDER = Path(__file__).resolve().parent.parent / "recipes"
KEYS = {"description", "kernel", "init", "modules", "cmdline", "root"}
# No module is replaced.
NOTHING: Mapping[str, Path] = MappingProxyType({})
ROOT_KEYS = {"suite", "variant", "packages", "setup", "leave_out", "spare_mib"}


class RecipeError(Exception):
    """A recipe that is missing or names something unknown."""


@dataclass(frozen=True)
class Recipe:
    """One file of `images/recipes`, with the scripts it names read in."""

    name: str
    kernel: str
    init: str
    modules: list[str]
    cmdline: str
    root: dict | None


def names() -> list[str]:
    """All recipes there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> Recipe:
    """The recipe called `name`."""
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(f"no recipe {name!r}; there are: {', '.join(names())}")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    root = table.get("root")
    unknown = sorted(set(table) - KEYS) + sorted(set(root or {}) - ROOT_KEYS)
    if unknown:
        raise RecipeError(f"{path.name}: unknown key {unknown[0]!r}")
    if root is not None and "setup" in root:
        parts = [root["setup"]] if isinstance(root["setup"], str) else root["setup"]
        root["setup"] = "\n".join((FOLDER / part).read_text(encoding="utf-8") for part in parts)
    init = (FOLDER / table["init"]).read_text(encoding="utf-8")
    return Recipe(name, table["kernel"], init, table["modules"], table["cmdline"], root)


def build(
    recipe: Recipe,
    other_kernel: str | None = None,
    extra: Sequence[Path] = (),
    instead: Mapping[str, Path] = NOTHING,
    programs: Sequence[Path] = (),
) -> dict[str, str]:
    """Builds what the recipe describes, or finds it built, and returns what to boot: paths and the command line.

    `other_kernel` is a metapackage to take in place of the recipe's. `extra` are folders with the source of modules that
    lie in the initramfs beside the recipe's, and that nobody loads unasked; `instead` of a module of the recipe's the one
    whose source is in the folder is loaded. `programs` are static ones, which lie in the initramfs, too.
    """
    linux = kernel.load(other_kernel or recipe.kernel)
    result = {"vmlinuz": str(linux.vmlinuz), "vmlinux": str(linux.vmlinux), "cmdline": recipe.cmdline}
    result["initramfs"] = str(initramfs_of(linux, recipe.init, recipe.modules, extra, instead, programs))
    if recipe.root is not None:
        result["disk"] = str(_disk(recipe.root))
    return result


def initramfs_of(
    linux: kernel.Kernel,
    init: str,
    wanted: list[str],
    extra: Sequence[Path] = (),
    instead: Mapping[str, Path] = NOTHING,
    programs: Sequence[Path] = (),
) -> Path:
    """The initramfs of a kernel, an init script, modules and programs, built once for each combination."""
    unknown = sorted(set(instead) - set(wanted))
    if unknown:
        raise RecipeError(f"no module {unknown[0]!r} to replace; there are: {', '.join(wanted)}")
    assembler = Path(initramfs.__file__).read_bytes()
    built = [modules.build(linux, source) for source in extra]
    ours = {name: modules.build(linux, source) for name, source in instead.items()}
    parts = [part for module in built for part in module]
    parts += [part for name, module in sorted(ours.items()) for part in (name, *module)]
    carried = [(program.name, program.read_bytes()) for program in programs]
    parts += [part for program in carried for part in program]
    name = cache.digest(linux.name, init, *wanted, *parts, initramfs.BUSYBOX.read_bytes(), assembler)

    def fill(folder: Path) -> None:
        loaded = kernel.load_order(linux, wanted, ours)
        (folder / "initramfs").write_bytes(initramfs.assemble(init.encode(), loaded, built, carried))

    return cache.entry("initramfs", name, fill) / "initramfs"


def _disk(root: dict) -> Path:
    setup = root.get("setup", "#!/bin/sh\n")
    packages = sorted(root["packages"])
    leave_out = root.get("leave_out", [])
    builder = Path(rootfs.__file__).read_bytes()
    name = cache.digest(root["suite"], root["variant"], *packages, setup, *leave_out, root["spare_mib"], builder)

    def fill(folder: Path) -> None:
        rootfs.make(folder, root["suite"], root["variant"], packages, setup, leave_out, root["spare_mib"])

    return cache.entry("disks", name, fill) / "root.ext4"
