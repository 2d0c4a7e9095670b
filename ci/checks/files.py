"""The files of this checkout: those git knows, and new ones it does not ignore."""

import functools
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def paths() -> tuple[str, ...]:
    """Paths relative to the checkout, sorted."""
    # A checkout that belongs to another user, as in a container, is a checkout all the same.
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True)
    names = {name for name in done.stdout.decode().split("\0") if name}
    return tuple(sorted(name for name in names if (CHECKOUT / name).is_file()))


@functools.cache
def texts() -> dict[str, str]:
    """Path to content of every text file."""
    found = {}
    for path in paths():
        data = (CHECKOUT / path).read_bytes()
        if b"\0" in data:
            continue
        try:
            found[path] = data.decode()
        except UnicodeDecodeError:
            continue
    return found
