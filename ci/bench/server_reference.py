"""The reference's server, Debian's library, with a display device that plays recordings; built outside the checkout."""

import subprocess
from pathlib import Path

from debian import cache, packages
from debian.packages import PackageError

SOURCE = Path(__file__).resolve().parent / "reference_server" / "replay.c"
# The library comes with QEMU.
LIBRARY = "libspice-server1"
HEADERS = ("libglib2.0-dev", "libspice-protocol-dev", "libspice-server-dev")
LINKED = ("-l:libspice-server.so.1", "-l:libglib-2.0.so.0")
TRIPLET = "x86_64-linux-gnu"


def replayer() -> tuple[str, Path]:
    """Version of the library, and the program that plays a recording into it."""
    version = packages.apt("dpkg-query", "-W", "-f", "${Version}", LIBRARY)
    folders = [packages.unpacked(name) for name in HEADERS]

    def build(work: Path) -> None:
        names = ("spice-1", "glib-2.0", "spice-server")
        include = [f"-I{folder}/usr/include/{name}" for folder in folders for name in names]
        include += [f"-I{folder}/usr/lib/{TRIPLET}/glib-2.0/include" for folder in folders]
        command = ["gcc", "-O2", "-Wall", "-Wextra", *include, str(SOURCE), *LINKED, "-o", str(work / "replay")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PackageError(f"{' '.join(command)}:\n{done.stderr.strip()}")

    name = cache.digest(version, HEADERS, LINKED, SOURCE.read_bytes())
    folder = cache.entry("bench-server", name, build)
    cache.keep_newest("bench-server", 3)
    return f"{LIBRARY} {version}", folder / "replay"
