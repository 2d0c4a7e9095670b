"""Lock files: which packages, to the byte, an image is made of."""

import re
from dataclasses import dataclass
from pathlib import Path

from . import cache

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")
VERSION = re.compile(r"[0-9][0-9A-Za-z.+:~-]{0,99}")
ARCHITECTURES = ("amd64", "all")
SUM = re.compile(r"[0-9a-f]{64}")
ASKED = re.compile(r"[0-9a-f]{16}")
TIME = re.compile(r"[1-9][0-9]{8,9}")
# More would be no image but a mirror.
MOST_PACKAGES = 10_000
MOST_BYTES = 4 << 20


class LockError(Exception):
    """A lock file that cannot be used; the text says where and why."""


@dataclass(frozen=True, order=True)
class Package:
    """One package, as it is in the pool of a mirror."""

    name: str
    version: str
    architecture: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def file(self) -> str:
        """What a file of it is called by apt."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True)
class Lock:
    """What was asked for, when, and the packages that were the answer."""

    asked: str
    time: int
    packages: tuple[Package, ...]

    def text(self, recipe: str) -> str:
        lines = [f"# Written by `images/build --update {recipe}`: name, version, architecture and SHA-256 of each package."]
        lines += [f"asked {self.asked}", f"time {self.time}"]
        lines += [f"{one.name} {one.version} {one.architecture} {one.sha256}" for one in sorted(self.packages)]
        return "".join(f"{line}\n" for line in lines)

    def find(self, pattern: str) -> Package:
        """The one package whose name matches."""
        found = [one for one in self.packages if re.fullmatch(pattern, one.name)]
        if len(found) != 1:
            raise LockError(f"{len(found)} of the packages are {pattern}, not one")
        return found[0]


def parse(text: str, name: str) -> Lock:
    """The lock in `text`, which may say anything; `name` is where it is from."""
    heads: dict[str, str] = {}
    packages: dict[str, Package] = {}
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}:{number}"
        if not line or line.startswith("#"):
            continue
        words = line.split(" ")
        if len(words) == 2 and words[0] in ("asked", "time"):
            pattern = ASKED if words[0] == "asked" else TIME
            if words[0] in heads or not pattern.fullmatch(words[1]):
                raise LockError(f"{where}: not what `{words[0]}` is once")
            heads[words[0]] = words[1]
            continue
        if len(words) != 4:
            raise LockError(f"{where}: not NAME VERSION ARCHITECTURE SHA-256")
        if not NAME.fullmatch(words[0]):
            raise LockError(f"{where}: {words[0][:80]!r} is no name of a package")
        if not VERSION.fullmatch(words[1]):
            raise LockError(f"{where}: {words[1][:80]!r} is no version")
        if words[2] not in ARCHITECTURES:
            raise LockError(f"{where}: architecture {words[2][:80]!r}; there are: {', '.join(ARCHITECTURES)}")
        if not SUM.fullmatch(words[3]):
            raise LockError(f"{where}: {words[3][:80]!r} is no SHA-256")
        if words[0] in packages:
            raise LockError(f"{where}: {words[0]} is there twice")
        packages[words[0]] = Package(*words)
        if len(packages) > MOST_PACKAGES:
            raise LockError(f"{name}: more than {MOST_PACKAGES} packages")
    for head in ("asked", "time"):
        if head not in heads:
            raise LockError(f"{name}: `{head}` is missing")
    if not packages:
        raise LockError(f"{name}: no package is in it")
    return Lock(heads["asked"], int(heads["time"]), tuple(packages.values()))


def read(path: Path) -> Lock:
    data = path.read_bytes()
    if len(data) > MOST_BYTES:
        raise LockError(f"{path.name}: longer than {MOST_BYTES >> 20} MiB")
    try:
        return parse(data.decode("ascii"), path.name)
    except UnicodeDecodeError as error:
        raise LockError(f"{path.name}: not ASCII at byte {error.start}") from error


def write(path: Path, lock: Lock, recipe: str) -> None:
    """Puts the lock there when it is complete; one of before stays until then."""
    cache.put(path, lock.text(recipe).encode())
