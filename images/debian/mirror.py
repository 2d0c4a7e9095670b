"""Debian's mirrors, asked with lists of our own: whatever system this is, and whatever is installed on it."""

import hashlib
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from . import cache, progress
from .lock import ARCHITECTURES, NAME, SUM, VERSION, Package
from .packages import PackageError, apt

DEBIAN = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# How old lists may be before new ones are asked for.
LISTS_SECONDS = 24 * 3600
# Fetched by one call of apt, between two lines that say how far it is.
BATCH = 24
SOURCE = re.compile(r"\S+ \S+( \S+)*")
LOCAL = ("/", "file:")
# Of each part of a package, which is an archive of `ar`.
AR_HEAD = 60


def sources(suite: str) -> list[str]:
    """Where Debian has a suite, with its updates, as apt's one-line sources without their first word."""
    return [f"{DEBIAN} {suite} main", f"{DEBIAN} {suite}-updates main", f"{DEBIAN}-security {suite}-security main"]


class Mirror:
    """The mirrors of a suite; `others` are asked in place of Debian's own."""

    def __init__(self, suite: str, others: Sequence[str] = ()) -> None:
        for line in others:
            if not SOURCE.fullmatch(line) or urlsplit(line.split()[0]).scheme not in ("http", "https", "file"):
                raise PackageError(f"{line!r} is no mirror: URL SUITE COMPONENT")
        if not KEYRING.is_file():
            raise PackageError(f"{KEYRING} is missing: install the package debian-archive-keyring")
        lines = list(others) or sources(suite)
        # A mirror of former days has lists that are no longer valid by their date.
        remark = " check-valid-until=no" if others else ""
        text = "".join(f"deb [arch=amd64 signed-by={KEYRING}{remark}] {line}\n" for line in lines)
        self._names = ", ".join(lines)
        self._folder = cache.root() / "mirrors" / cache.digest(text)
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        cache.put(self._folder / "sources.list", text.encode())
        # What this system does after it has new lists of its own is not for these.
        hooks = "".join(f"#clear APT::Update::{name};\n" for name in ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"))
        cache.put(self._folder / "apt.conf", hooks.encode())
        where = {
            "Dir::Etc::sourcelist": self._folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": self._folder / "state", "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder / "cache", "APT::Architecture": "amd64", "APT::Install-Recommends": "false",
            # As root apt would drop to a user that may not write here.
            "APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::ForceHash": "SHA256",
        }  # fmt: skip
        self._options = ["-c", str(self._folder / "apt.conf")]
        self._options += [part for key, value in where.items() for part in ("-o", f"{key}={value}")]

    def _apt(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        return apt(command, *self._options, *arguments, cwd=cwd)

    def refresh(self, seconds: float = LISTS_SECONDS) -> None:
        """Fetches the lists, when they are older than that."""
        stamp = self._folder / "stamp"
        with cache.locked(self._folder / "lists"):
            if stamp.is_file() and time.time() - stamp.stat().st_mtime < seconds:
                return
            progress.say(f"lists of {self._names}")
            # A list that cannot be fetched is an error, not a remark beside the lists of before.
            self._apt("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
            stamp.touch()

    def resolve(self, wanted: Sequence[str], ours: Sequence[Path] = (), system: bool = True) -> list[Package]:
        """The packages that `wanted` and our own, `ours`, need; with what every system has, unless told otherwise."""
        self.refresh()
        always = ["?essential", "?priority(required)", "apt"] if system else []
        said = self._apt("apt-get", "install", "-qq", "-y", "--print-uris", *always, *wanted, *(str(path.resolve()) for path in ours))
        found = []
        for line in said.splitlines():
            words = line.split(" ")
            if len(words) < 4 or words[0].strip("'").startswith(LOCAL):
                continue
            parts = words[1].removesuffix(".deb").split("_")
            kind, _, total = words[3].partition(":")
            if len(parts) != 3 or kind != "SHA256":
                raise PackageError(f"apt said what is not understood: {line}")
            name, version, architecture = parts[0], parts[1].replace("%3a", ":"), parts[2]
            if not (NAME.fullmatch(name) and VERSION.fullmatch(version) and SUM.fullmatch(total) and architecture in ARCHITECTURES):
                raise PackageError(f"apt said what is not understood: {line}")
            found.append(Package(name, version, architecture, total))
        if not found:
            raise PackageError(f"no package is needed for {' '.join(wanted)}")
        return sorted(found)

    def fetch(self, wanted: Sequence[Package]) -> dict[str, Path]:
        """Files of the packages, by name: out of the pool, where those that are not there yet are put."""
        pool = cache.root() / "pool"
        pool.mkdir(exist_ok=True)
        files = {one.name: pool / f"{one.sha256}.deb" for one in wanted}
        missing = [one for one in wanted if not _is(files[one.name], one.sha256)]
        if missing:
            self.refresh()
            gone = self.gone(missing)
            if gone:
                # What is gone from the lists of yesterday may be in today's.
                self.refresh(0)
                gone = self.gone(missing)
            if gone:
                raise PackageError(f"no longer on {self._names}: {', '.join(str(one) for one in gone)}")
        for start in range(0, len(missing), BATCH):
            progress.say(f"packages: {start} of {len(missing)} fetched")
            self._download(missing[start : start + BATCH], files, pool)
        return files

    def gone(self, wanted: Sequence[Package]) -> list[Package]:
        """Those that the lists no longer have."""
        known = set()
        for line in self._apt("apt-cache", "madison", *(one.name for one in wanted)).splitlines():
            words = [word.strip() for word in line.split("|")]
            if len(words) == 3:
                known.add((words[0], words[1]))
        return [one for one in wanted if (one.name, one.version) not in known]

    def _download(self, wanted: Sequence[Package], files: dict[str, Path], pool: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=".fetch.", dir=pool) as folder:
            self._apt("apt-get", "download", "-q", *(f"{one.name}={one.version}" for one in wanted), cwd=Path(folder))
            for one in wanted:
                file = Path(folder) / one.file
                if not file.is_file():
                    raise PackageError(f"{one}: apt did not fetch it")
                if not _is(file, one.sha256):
                    raise PackageError(f"{one}: the mirror's file is not the one of the lock, SHA-256 {one.sha256}")
                os.rename(file, files[one.name])


def _is(file: Path, total: str) -> bool:
    """Whether a file is there and has this SHA-256."""
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == total
    except FileNotFoundError:
        return False


def _control(file: Path) -> str:
    """What a package says of itself; a program started for each of some hundred would take longer than unpacking them."""
    with open(file, "rb") as package:
        package.seek(len(b"!<arch>\n"))
        while len(head := package.read(AR_HEAD)) == AR_HEAD:
            name, size = head[:16].decode("ascii", "replace").strip(" /"), int(head[48:58])
            if name.startswith("control.tar"):
                with tarfile.open(fileobj=BytesIO(package.read(size))) as archive:
                    return archive.extractfile("./control").read().decode()
            package.seek(size + size % 2, os.SEEK_CUR)
    raise PackageError(f"{file}: no package")


def repository(folder: Path, suite: str, files: Sequence[Path]) -> str:
    """Makes a mirror of package files in a folder; apt's source for it, which may be trusted: every file was compared."""
    stanzas = []
    for number, file in enumerate(files):
        name = f"{number:05}.deb"
        try:
            os.link(file, folder / name)
        except OSError:
            (folder / name).write_bytes(file.read_bytes())
        control = _control(file)
        with open(file, "rb") as content:
            total = hashlib.file_digest(content, "sha256").hexdigest()
        stanzas.append(f"{control.rstrip()}\nFilename: ./{name}\nSize: {file.stat().st_size}\nSHA256: {total}\n")
    index = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(index)
    total = hashlib.sha256(index).hexdigest()
    # Which suite it is makes mmdebstrap see what is essential.
    head = f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64 all\nSHA256:\n {total} {len(index)} Packages\n"
    (folder / "Release").write_text(head, encoding="ascii")
    return f"deb [trusted=yes] copy://{folder} ./"
