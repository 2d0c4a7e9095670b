"""Where built and downloaded things are kept: one folder per user, every entry named by what it was made from."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path


def root() -> Path:
    """The cache folder, `$XDG_CACHE_HOME/caraway` or `~/.cache/caraway`; never inside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = Path(base) / "caraway"
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(*parts: object) -> str:
    """A name for everything in `parts`: 16 hex digits of SHA-256 over their text, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:16]


@contextlib.contextmanager
def locked(path: Path):
    """Holds an exclusive lock on `path` + `.lock`, so that two processes never build one entry at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def entry(kind: str, name: str, build) -> Path:
    """The folder `kind/name`, filled by `build(folder)` when it is not there yet.

    A build that fails or is killed leaves no entry: it works in a temporary folder that is renamed at the end.
    """
    path = root() / kind / name
    if path.is_dir():
        os.utime(path)
        return path
    with locked(path):
        if path.is_dir():
            return path
        for left_over in path.parent.glob(f".{name}.*"):
            shutil.rmtree(left_over, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=path.parent))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(path)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return path


def put(path: Path, content: bytes) -> None:
    """Writes a file that is there as a whole or, when that fails, as it was before."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise


def keep_newest(kind: str, count: int) -> None:
    """Removes all but the `count` entries of `kind` used last."""
    folder = root() / kind
    entries = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[count:]:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.lock")
