"""Debian packages, downloaded and unpacked beside the system and never installed."""

import os
import re
import subprocess
from pathlib import Path

from . import cache

LISTS = Path("/var/lib/apt/lists")


class PackageError(Exception):
    """A package cannot be found or downloaded; the text says which and what apt said."""


def apt(*command: str, cwd: Path | None = None) -> str:
    """Runs one of apt's commands; what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise PackageError(f"{' '.join(command)}: {said}")
    return done.stdout


def refresh_lists() -> None:
    """`apt-get update`, as root or through sudo: stored lists that are too old name files that are gone."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt(*prefix, "apt-get", "update", "-q")


def real_package(metapackage: str) -> tuple[str, str]:
    """Name and version of the package a metapackage such as `linux-image-amd64` depends on.

    Asking apt takes most of a second, so the answer is kept until apt's lists change.
    """
    stamp = str(LISTS.stat().st_mtime_ns)
    note = cache.root() / f"apt-{metapackage}"
    if note.is_file():
        known = note.read_text(encoding="utf-8").split()
        if len(known) == 3 and known[0] == stamp:
            return known[1], known[2]
    depends = re.search(r"Depends: (\S+)", apt("apt-cache", "depends", metapackage))
    if depends is None:
        raise PackageError(f"{metapackage} depends on nothing: is it a metapackage?")
    name = depends.group(1)
    version = candidate(name)
    note.write_text(f"{stamp} {name} {version}\n", encoding="utf-8")
    return name, version


def candidate(name: str) -> str:
    """The version of a package that apt would install."""
    found = re.search(r"Candidate: (\S+)", apt("apt-cache", "policy", name))
    if found is None or found.group(1) == "(none)":
        raise PackageError(f"{name} has no candidate version")
    return found.group(1)


def download(name: str, version: str, folder: Path) -> Path:
    """Fetches one package file into `folder` and returns its path."""
    wanted = f"{name}={version}"
    # As root apt would drop to the user _apt, which may not write here, and warn about it.
    command = ("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", wanted)
    try:
        apt(*command, cwd=folder)
    except PackageError:
        refresh_lists()
        apt(*command, cwd=folder)
    files = list(folder.glob(f"{name}_*.deb"))
    if len(files) != 1:
        raise PackageError(f"{wanted}: {len(files)} files were downloaded, not one")
    return files[0]


def unpack(package: Path, folder: Path) -> None:
    """Unpacks the files of a package under `folder`."""
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


def unpacked(name: str, version: str | None = None) -> Path:
    """The files of package `name`, downloaded and unpacked once into the cache."""
    if version is None:
        version = candidate(name)

    def build(folder: Path) -> None:
        package = download(name, version, folder)
        unpack(package, folder)
        package.unlink()

    return cache.entry("packages", f"{name}_{version.replace(':', '%3a')}", build)
