"""What recipes with a lock are made of: the packages in it, and our own, built from this checkout."""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import cache, kernel, mirror, packages
from .lock import Lock, LockError, Package

if TYPE_CHECKING:
    from .recipe import Recipe

# Where kernels come from when there is no root file system with a suite of its own.
SUITE = "bookworm"
# Its /bin/busybox is the first program of every initramfs.
BUSYBOX = "busybox-static"
# Of the packages that a kernel needs, those that are taken when nothing is installed.
PARTS = re.compile(r"linux-(?:image|headers|kbuild)-\S*\d\S*|busybox-static")
OURS = Path(__file__).resolve().parent.parent.parent / "guest-drivers" / "packages"


def ours(wanted: Sequence[str]) -> list[Path]:
    """Files of those of our own packages that are wanted, built when they have to be."""
    names = [name for name in wanted if (OURS / name / "control").is_file()]
    if not names:
        return []
    done = subprocess.run([str(OURS / "build"), *names], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise packages.PackageError(f"guest-drivers/packages/build failed with exit code {done.returncode}")
    return [Path(line) for line in done.stdout.splitlines()]


def _wanted(recipe: "Recipe") -> list[str]:
    """What is asked of the mirror: the recipe's packages, its kernel with what modules are built with, and busybox."""
    own = recipe.root.packages if recipe.root else ()
    headers = recipe.kernel.replace("linux-image-", "linux-headers-", 1)
    kernels = [recipe.kernel, headers] if recipe.instead or recipe.root is None else [recipe.kernel]
    return sorted({*(name for name in own if not (OURS / name / "control").is_file()), *kernels, BUSYBOX})


def _asked(recipe: "Recipe") -> str:
    """A sum over what decides which packages there are."""
    own = recipe.root.packages if recipe.root else ()
    controls = [(OURS / name / "control").read_bytes() for name in own if (OURS / name / "control").is_file()]
    return cache.digest(recipe.root.suite if recipe.root else SUITE, *_wanted(recipe), *controls)


def check(recipe: "Recipe", lock: Lock) -> None:
    """The lock has to be the recipe's."""
    if lock.asked != _asked(recipe):
        raise LockError(f"{recipe.name}: its packages are others than when its lock was written: images/build --update {recipe.name}")


def update(recipe: "Recipe", mirrors: Sequence[str] = ()) -> Lock:
    """A lock of what the mirror has now."""
    source = mirror.Mirror(recipe.root.suite if recipe.root else SUITE, mirrors)
    source.refresh(0)
    found = source.resolve(_wanted(recipe), ours(recipe.root.packages) if recipe.root else (), recipe.root is not None)
    if recipe.root is None:
        found = [one for one in found if PARTS.fullmatch(one.name)]
    return Lock(_asked(recipe), int(time.time()), tuple(found))


def kernel_of(lock: Lock, files: Mapping[str, Path], with_headers: bool) -> kernel.Kernel:
    image = lock.find(r"linux-image-\d\S*")
    headers: list[Package] = []
    if with_headers:
        headers = [one for one in lock.packages if re.fullmatch(r"linux-(?:headers|kbuild)-\d\S*", one.name)]
    return kernel.of_package(image, files[image.name], [files[one.name] for one in headers])


def busybox_of(lock: Lock, files: Mapping[str, Path]) -> Path:
    package = lock.find(BUSYBOX)

    def build(folder: Path) -> None:
        packages.unpack(files[package.name], folder)

    return cache.entry("packages", f"{package.name}_{package.sha256[:16]}", build) / "bin" / "busybox"
