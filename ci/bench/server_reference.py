"""The reference's server, Debian's library, with a display device of ours; built outside the checkout."""

import subprocess
from pathlib import Path

from debian import cache, packages
from debian.packages import PackageError

FOLDER = Path(__file__).resolve().parent / "reference_server"
# What all programs have in common.
COMMON = ("main_loop.c", "main_loop.h")
# The library comes with QEMU.
LIBRARY = "libspice-server1"
HEADERS = ("libglib2.0-dev", "libspice-protocol-dev", "libspice-server-dev")
LINKED = ("-l:libspice-server.so.1", "-l:libglib-2.0.so.0")
TRIPLET = "x86_64-linux-gnu"


def program(name: str) -> tuple[str, Path]:
    """Version of the library, and the program with it that `reference_server/NAME.c` is."""
    own = [FOLDER / file for file in (f"{name}.c", *COMMON)]
    version = packages.apt("dpkg-query", "-W", "-f", "${Version}", LIBRARY)
    folders = [packages.unpacked(name) for name in HEADERS]

    def build(work: Path) -> None:
        names = ("spice-1", "glib-2.0", "spice-server")
        include = [f"-I{folder}/usr/include/{name}" for folder in folders for name in names]
        include += [f"-I{folder}/usr/lib/{TRIPLET}/glib-2.0/include" for folder in folders]
        sources = [str(path) for path in own if path.suffix == ".c"]
        command = ["gcc", "-O2", "-Wall", "-Wextra", *include, *sources, *LINKED, "-o", str(work / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PackageError(f"{' '.join(command)}:\n{done.stderr.strip()}")

    key = cache.digest(version, HEADERS, LINKED, name, *(path.read_bytes() for path in own))
    folder = cache.entry("bench-server", key, build)
    cache.keep_newest("bench-server", 6)
    return f"{LIBRARY} {version}", folder / name
