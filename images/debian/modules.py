"""Kernel modules that are not in Debian's kernel package, built from source against the headers of the same version."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from . import cache, packages

if TYPE_CHECKING:
    from .kernel import Kernel


class ModuleError(Exception):
    """A module that does not build; the text is what the compiler said."""


def headers(release: str) -> Path:
    """The unpacked headers of a kernel release: the folder to run `make -C` in."""
    name = f"linux-headers-{release}"
    needed = re.findall(r"Depends: (linux-(?:headers|kbuild)-\S+)", packages.apt("apt-cache", "depends", name))

    def build(folder: Path) -> None:
        for package in (name, *needed):
            version = packages.candidate(package)
            file = packages.download(package, version, folder)
            packages.unpack(file, folder)
            file.unlink()
        settle_headers(folder, release)

    entry = cache.entry("headers", f"{name}_{packages.candidate(name).replace(':', '%3a')}", build)
    return headers_folder(entry, release)


def headers_folder(unpacked: Path, release: str) -> Path:
    return unpacked / "usr" / "src" / f"linux-headers-{release}"


def settle_headers(unpacked: Path, release: str) -> None:
    """The package expects to be installed; where it is unpacked, the common part is beside it."""
    makefile = headers_folder(unpacked, release) / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/src/", "include ../"))


def build(kernel: "Kernel", source: Path) -> tuple[str, bytes]:
    """Name and image of the one module whose source and Makefile are in `source`. Warnings are errors."""
    release = kernel.release
    files = sorted(path for path in source.iterdir() if path.is_file())
    content = [part for path in files for part in (path.name, path.read_bytes())]
    name = cache.digest(kernel.name, Path(__file__).read_bytes(), *content)

    def fill(folder: Path) -> None:
        for path in files:
            shutil.copy(path, folder)
        tree = kernel.headers or headers(release)
        # Where it is built is not to be seen in the module: the names of its files are in messages, and all the compiler
        # writes for debuggers in the sum that is its id.
        flags = f"-Werror -ffile-prefix-map={folder}=/module -ffile-prefix-map={tree}=/headers"
        flags += f" -ffile-prefix-map={tree.parent}=/usr/src"
        # The type information in BTF needs another tool and is for debuggers.
        command = ["make", "-C", str(tree), f"M={folder}", "W=1", f"KCFLAGS={flags}"]
        command += ["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode != 0:
            raise ModuleError(f"{source.name} for {release}:\n{done.stdout}")
        built = list(folder.glob("*.ko"))
        if len(built) != 1:
            raise ModuleError(f"{source.name}: {len(built)} modules were built, not one")
        # Ten times the rest, and the guest's kernel copies all of a module to load it.
        subprocess.run(["strip", "--strip-debug", str(built[0])], check=True)

    (image,) = cache.entry("modules", name, fill).glob("*.ko")
    return image.stem, image.read_bytes()
