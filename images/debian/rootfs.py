"""Debian root file systems on raw ext4 images, made with mmdebstrap and without mounting anything."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import ext4, mirror, progress
from .packages import PackageError

# Documentation, manuals and translations are most of a small Debian and nothing a test looks at.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# What differs from one build to the next and is made again where it is needed.
PASSING = (
    "var/cache/apt/*", "var/lib/apt/lists/*", "var/cache/fontconfig/*", "var/cache/debconf/*-old", "var/lib/dpkg/*-old",
    "var/log/*.log", "var/log/apt", "var/cache/ldconfig/aux-cache", "var/lib/systemd/catalog/database",
    "var/lib/dkms/*/*/*/*/log", "var/lib/dkms/mok.*", "etc/.pwd.lock",
)  # fmt: skip
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Of what went wrong, the last lines.
SAID_LINES = 15


@dataclass(frozen=True)
class Root:
    """What a root file system is made of."""

    name: str
    suite: str
    packages: tuple[str, ...]
    setup: str
    leave_out: tuple[str, ...]
    spare_mib: int
    size_mib: int | None


def make(folder: Path, root: Root, files: Sequence[Path], moment: int) -> Path:
    """Writes `root.ext4` into `folder`: the packages, changed by the shell script of `root`.

    The script runs on the host with the new root's path as $1, after the packages are configured. `files` are all
    packages there are, and nothing in the image is younger than `moment`.
    """
    # Without root the packages are unpacked by another user, who cannot look into everybody's home.
    where = folder if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(dir=where) as work, tempfile.TemporaryDirectory(dir=folder) as room:
        os.chmod(work, 0o755)
        packages = Path(work) / "packages"
        packages.mkdir(mode=0o755)
        source = mirror.repository(packages, root.suite, files)
        scripts = {"setup": root.setup, "settle": settle(root.suite)}
        for name, text in scripts.items():
            (Path(work) / name).write_text(text, encoding="utf-8")
            (Path(work) / name).chmod(0o755)
        archive = Path(room) / "root.tar"
        command = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--include={','.join(root.packages)}"]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in (*LEFT_OUT, *root.leave_out)]
        # Half an image is thrown away, so nothing of it has to be on the disk before it is complete.
        command += ["--dpkgopt=force-unsafe-io", '--aptopt=Apt::Install-Recommends "false"']
        command += [f"--customize-hook={Path(work) / name}" for name in scripts]
        progress.say(f"{root.name}: unpacking and configuring {len(files)} packages")
        # The initramfs is made here, not there. Programs are the system's, whoever calls: one that finds them in a folder of
        # somebody's first runs for each package.
        settings = {**os.environ, "SOURCE_DATE_EPOCH": str(moment), "INITRD": "No", "LC_ALL": "C", "PATH": PATH}
        code, said = _run([*command, root.suite, str(archive), source], settings)
        if code != 0:
            last = "\n".join(said.splitlines()[-SAID_LINES:])
            raise PackageError(f"mmdebstrap failed with exit code {code}:\n{last}")
        progress.say(f"{root.name}: writing the disk")
        image = folder / "root.ext4"
        ext4.write(archive, image, root.spare_mib, root.size_mib, root.name, moment)
        return image


def _run(command: list[str], settings: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a program, which is ended in order when this one is: it has a tree to remove."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=settings
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return process.returncode, said


def settle(suite: str) -> str:
    """The script that comes last: packages come from Debian from now on, and what is of one build goes."""
    lines = [f"echo 'deb {line}'" for line in mirror.sources(suite)]
    return "\n".join(
        ["#!/bin/sh", "set -e", 'root=$1', "{", *lines, '} >"$root/etc/apt/sources.list"']
        + [f'rm -rf "$root"/{pattern}' for pattern in PASSING]
        # What tells apt that it works for the new root is there until the end; without it apt would do so for the host.
        + ["find \"$root/tmp\" -mindepth 1 -maxdepth 1 ! -name 'mmdebstrap*' -exec rm -rf {} +"]
        + ['sed -i /force-unsafe-io/d "$root"/etc/dpkg/dpkg.cfg.d/*']
        + ['[ ! -e "$root/etc/machine-id" ] || : >"$root/etc/machine-id"', ""]
    )
