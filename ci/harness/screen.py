"""The program `screen` for guests: shows pictures, and says what should be on the screen (screen.c)."""

import subprocess
from pathlib import Path

from .vm import Failed

SOURCE = Path(__file__).parent / "screen.c"
FLAGS = ("-O2", "-Wall", "-Wextra", "-static", "-I/usr/include/libdrm")
LIBRARIES = ("-lxcb-shm", "-lxcb-xfixes", "-lxcb", "-lXau", "-lXdmcp", "-lm")
SECTOR = 512
# In a guest that has the disk as `vdb`; what it prints tells that it is there.
INSTALL = "cp /dev/vdb /usr/bin/screen; chmod 755 /usr/bin/screen; screen frame 0"


def disk(folder: Path) -> Path:
    """The program as a disk: the file and nothing else."""
    built = folder / "screen"
    done = subprocess.run(["gcc", *FLAGS, "-o", built, SOURCE, *LIBRARIES], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{SOURCE.name}: {done.stderr}")
    content = built.read_bytes()
    built.write_bytes(content + bytes(-len(content) % SECTOR))
    return built
