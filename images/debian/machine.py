"""Parts of an image where a machine's configuration names them: a folder beside it, that belongs to whoever runs it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import cache
from .packages import PackageError

FOLDER = Path(__file__).resolve().parent.parent
# Of what the folder was made from.
MARK = "hash"
CHUNK = 1 << 20


def place(name: str, parts: Mapping[str, str]) -> dict[str, str]:
    """Puts the parts into images/NAME, and returns what to run.

    A disk that is there already has the work of somebody in it: it stays, with the kernel that goes with it.
    """
    configuration = FOLDER / f"{name}.toml"
    if not configuration.is_file():
        raise PackageError(f"{name} has no configuration {configuration.name} in images")
    target = FOLDER / name
    mark = parts.get("hash") or cache.digest(*(f"{key}={value}" for key, value in sorted(parts.items())))
    with cache.locked(cache.root() / "vm" / name):
        if target.exists():
            there = (target / MARK).read_text(encoding="ascii").strip() if (target / MARK).is_file() else ""
            if there != mark:
                raise PackageError(f"images/{name} is of another build and stays as it is; move it away to have a new one")
        else:
            _make(target, parts, mark)
    return {"config": str(configuration), **({"hash": parts["hash"]} if "hash" in parts else {})}


def _make(target: Path, parts: Mapping[str, str], mark: str) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for key, file in {"vmlinux": "vmlinux", "initramfs": "initramfs", "disk": "disk.raw"}.items():
            if key in parts:
                _copy(Path(parts[key]), work / file)
        (work / MARK).write_text(f"{mark}\n", encoding="ascii")
        work.chmod(0o755)
        work.rename(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _copy(source: Path, target: Path) -> None:
    """Copies what there is of a file that is mostly holes, and leaves the holes."""
    with open(source, "rb") as old, open(target, "wb") as new:
        new.truncate(source.stat().st_size)
        position = 0
        while (position := _next(old.fileno(), position)) is not None:
            end = os.lseek(old.fileno(), position, os.SEEK_HOLE)
            while position < end:
                data = os.pread(old.fileno(), min(CHUNK, end - position), position)
                if not data:
                    raise PackageError(f"{source} became shorter")
                new.seek(position)
                new.write(data)
                position += len(data)


def _next(file: int, position: int) -> int | None:
    """Where the next bytes of a file are; none when there is nothing but a hole."""
    try:
        return os.lseek(file, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
