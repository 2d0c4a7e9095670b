"""Debian's kernel source: a package with one archive in it, of which what is needed is unpacked."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import cache, packages

# Of Debian 12's own kernel.
PACKAGE = "linux-source-6.1"
# What checkpatch reads beside itself.
CHECKPATCH = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")


def version() -> str:
    """The version of the source that apt has."""
    return packages.candidate(PACKAGE)


def unpack(folder: Path, members: Sequence[str] = (), leave_out: Sequence[str] = ()) -> None:
    """Unpacks the source into `folder`: all of it or only `members`, and not what the patterns in `leave_out` match."""
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        package = packages.download(PACKAGE, version(), Path(unpacked))
        packages.unpack(package, Path(unpacked))
        archive = Path(unpacked) / "usr" / "src" / f"{PACKAGE}.tar.xz"
        command = ["tar", "-xf", str(archive), "-C", str(folder), "--strip-components=1"]
        command += [f"--exclude={pattern}" for pattern in leave_out]
        command += [f"{PACKAGE}/{member}" for member in members]
        subprocess.run(command, check=True)


def checkpatch() -> Path:
    """The script that looks at the style of kernel code."""

    def build(folder: Path) -> None:
        unpack(folder, [f"scripts/{name}" for name in CHECKPATCH])

    return cache.entry("checkpatch", version().replace(":", "%3a"), build) / "scripts" / CHECKPATCH[0]
