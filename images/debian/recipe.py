"""Recipes: what an image is made of, read from a TOML file and built into the cache."""

import hashlib
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from . import cache, ext4, initramfs, kernel, locked, mirror, modules, packages, rootfs
from .lock import Lock

FOLDER = Path(__file__).resolve().parent.parent / "recipes"
CHECKOUT = FOLDER.parent.parent
# Each key with its type; those of a root file system in a table of their own.
KEYS = {"description": str, "kernel": str, "init": str, "modules": list, "cmdline": str, "instead": dict, "root": dict}
ROOT_KEYS = {"suite": str, "packages": list, "setup": (str, list), "leave_out": list, "spare_mib": int, "size_mib": int}
OPTIONAL = {"instead", "root", "setup", "leave_out", "spare_mib", "size_mib"}
# No module is replaced.
NOTHING: Mapping[str, Path] = MappingProxyType({})
# Nothing in an image without a lock is younger.
MOMENT = 1_767_225_600


class RecipeError(Exception):
    """A recipe that is missing, names something unknown, or is not what was asked for."""


@dataclass(frozen=True)
class Recipe:
    """One file of `images/recipes`, with the scripts it names read in."""

    name: str
    kernel: str
    init: str
    modules: list[str]
    cmdline: str
    instead: dict[str, Path]
    root: rootfs.Root | None

    @property
    def lock_file(self) -> Path:
        return FOLDER / f"{self.name}.lock"


def names() -> list[str]:
    """All recipes there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> Recipe:
    """The recipe called `name`."""
    if name not in names():
        raise RecipeError(f"no recipe {name!r}; there are: {', '.join(names())}")
    return parse(name, (FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Recipe:
    """The recipe in `text`."""
    where = f"{name}.toml"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where}: {error}") from error
    _check(where, table, KEYS)
    root = table.get("root")
    if root is not None:
        _check(where, root, ROOT_KEYS)
        if ("spare_mib" in root) == ("size_mib" in root):
            raise RecipeError(f"{where}: one of spare_mib and size_mib says how large the disk is")
        size = root.get("spare_mib", root.get("size_mib"))
        if not 0 < size <= ext4.MOST_BLOCKS * ext4.BLOCK >> 20:
            raise RecipeError(f"{where}: a disk has up to {ext4.MOST_BLOCKS * ext4.BLOCK >> 20} MiB")
        setup = root.get("setup", [])
        parts = [setup] if isinstance(setup, str) else setup
        script = "\n".join(_script(where, part) for part in parts) or "#!/bin/sh\n"
        root = rootfs.Root(
            name, root["suite"], tuple(sorted(root["packages"])), script, tuple(root.get("leave_out", ())),
            root.get("spare_mib", 0), root.get("size_mib"),
        )  # fmt: skip
    instead = {}
    for module, folder in table.get("instead", {}).items():
        instead[module] = CHECKOUT / str(folder)
        if not (instead[module] / "Makefile").is_file() or ".." in Path(str(folder)).parts:
            raise RecipeError(f"{where}: {folder!r} is no folder of this checkout with a module")
    return Recipe(name, table["kernel"], _script(where, table["init"]), table["modules"], table["cmdline"], instead, root)


def _check(where: str, table: dict, keys: dict) -> None:
    """Every key is known, of its type and, unless it may be left out, there."""
    for key, value in table.items():
        if key not in keys:
            raise RecipeError(f"{where}: unknown key {key!r}")
        # To Python true is a number.
        if not isinstance(value, keys[key]) or isinstance(value, bool):
            raise RecipeError(f"{where}: {key} is not of its type")
        if isinstance(value, list):
            for entry in value:
                # apt takes what begins with a dash for an option, and mmdebstrap commas for separators.
                if not isinstance(entry, str) or not entry or entry.startswith("-") or "," in entry:
                    raise RecipeError(f"{where}: {entry!r} cannot be in {key}")
    for key in keys:
        if key not in table and key not in OPTIONAL:
            raise RecipeError(f"{where}: {key} is missing")


def _script(where: str, name: str) -> str:
    path = FOLDER / name
    if Path(name).name != name or not path.is_file():
        raise RecipeError(f"{where}: no script {name!r} beside it")
    return path.read_text(encoding="utf-8")


def build(
    recipe: Recipe,
    other_kernel: str | None = None,
    extra: Sequence[Path] = (),
    instead: Mapping[str, Path] = NOTHING,
    programs: Sequence[Path] = (),
    lock: Lock | None = None,
    mirrors: Sequence[str] = (),
) -> dict[str, str]:
    """Builds what the recipe describes, or finds it built, and returns what to boot: paths and the command line.

    `other_kernel` is a metapackage to take in place of the recipe's. `extra` are folders with the source of modules that
    lie in the initramfs beside the recipe's, and that nobody loads unasked; `instead` of a module of the recipe's the one
    whose source is in the folder is loaded. `programs` are static ones, which lie in the initramfs, too.

    With a lock everything is of its packages, and the result has a `hash` over all parts.
    """
    replaced = {**recipe.instead, **instead}
    if lock is None:
        linux = kernel.load(other_kernel or recipe.kernel)
        busybox = initramfs.BUSYBOX
    else:
        if other_kernel:
            raise RecipeError(f"{recipe.name} has a lock, and with it its kernel")
        locked.check(recipe, lock)
        files = mirror.Mirror(_suite(recipe), mirrors).fetch(lock.packages)
        linux, busybox = locked.kernel_of(lock, files, bool(replaced)), locked.busybox_of(lock, files)
    result = {"vmlinuz": str(linux.vmlinuz), "vmlinux": str(linux.vmlinux), "cmdline": recipe.cmdline}
    result["initramfs"] = str(initramfs_of(linux, recipe.init, recipe.modules, extra, replaced, programs, busybox))
    if recipe.root is not None:
        result["disk"] = str(_disk(recipe, lock, mirrors))
    if lock is not None:
        result["hash"] = _total(result)
    return result


def initramfs_of(
    linux: kernel.Kernel,
    init: str,
    wanted: list[str],
    extra: Sequence[Path] = (),
    instead: Mapping[str, Path] = NOTHING,
    programs: Sequence[Path] = (),
    busybox: Path = initramfs.BUSYBOX,
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
    name = cache.digest(linux.name, init, *wanted, *parts, busybox.read_bytes(), assembler)

    def fill(folder: Path) -> None:
        loaded = kernel.load_order(linux, wanted, ours)
        (folder / "initramfs").write_bytes(initramfs.assemble(init.encode(), loaded, built, carried, busybox))

    return cache.entry("initramfs", name, fill) / "initramfs"


def _suite(recipe: Recipe) -> str:
    return recipe.root.suite if recipe.root else locked.SUITE


def _disk(recipe: Recipe, lock: Lock | None, mirrors: Sequence[str]) -> Path:
    root = recipe.root
    ours = locked.ours(root.packages)
    moment = lock.time if lock else MOMENT
    builders = [Path(module.__file__).read_bytes() for module in (rootfs, ext4, mirror)]
    parts = [path.read_bytes() for path in ours] + [lock.text("") if lock else ""]
    size = f"{root.spare_mib} {root.size_mib}"
    name = cache.digest(root.suite, *root.packages, root.setup, *root.leave_out, size, moment, *parts, *builders)

    def fill(folder: Path) -> None:
        source = mirror.Mirror(root.suite, mirrors)
        wanted = lock.packages if lock else source.resolve(root.packages, ours)
        files = source.fetch(wanted)
        rootfs.make(folder, root, [*(files[one.name] for one in wanted), *ours], moment)
        with open(folder / "root.ext4", "rb") as disk:
            (folder / "sha256").write_text(hashlib.file_digest(disk, "sha256").hexdigest(), encoding="ascii")

    return cache.entry("disks", name, fill) / "root.ext4"


def _total(parts: Mapping[str, str]) -> str:
    """SHA-256 over what is booted; of the disk, which is large, it was taken when it was made."""
    sums = [hashlib.sha256(parts["cmdline"].encode()).hexdigest()]
    sums += [hashlib.sha256(Path(parts[key]).read_bytes()).hexdigest() for key in ("vmlinuz", "initramfs")]
    if "disk" in parts:
        sums.append(Path(parts["disk"]).with_name("sha256").read_text(encoding="ascii"))
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()


# What building may end with, each with a text that says what is wrong.
ERRORS = (
    RecipeError, packages.PackageError, kernel.KernelError, modules.ModuleError, ext4.Ext4Error, locked.LockError, OSError,
)  # fmt: skip


def failed(error: subprocess.CalledProcessError) -> str:
    return f"{error.cmd[0]} failed with exit code {error.returncode}"
