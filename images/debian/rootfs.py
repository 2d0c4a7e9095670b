"""Debian root file systems on raw ext4 images, made with mmdebstrap and without mounting anything."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# Documentation, manuals and translations are most of a small Debian and nothing a test looks at.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
MIB = 1 << 20


def make(
    folder: Path, suite: str, variant: str, packages: list[str], setup: str, leave_out: list[str], spare_mib: int
) -> Path:  # fmt: skip
    """Writes `root.ext4` into `folder`: the packages, changed by the shell script `setup`, plus `spare_mib` of room.

    `setup` runs on the host with the new root's path as $1, after the packages are configured. `leave_out` are patterns
    of paths that are not unpacked.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work) / "root"
        script = Path(work) / "setup"
        script.write_text(setup, encoding="utf-8")
        script.chmod(0o755)
        command = ["mmdebstrap", f"--variant={variant}", "--quiet", f"--include={','.join(packages)}"]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in (*LEFT_OUT, *leave_out)]
        command += ['--aptopt=Apt::Install-Recommends "false"', f"--customize-hook={script}", suite, str(root)]
        # mmdebstrap speaks on stderr; stdout belongs to the caller's list of results.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        image = folder / "root.ext4"
        make_ext4(root, image, spare_mib)
        if os.geteuid() == 0:
            shutil.rmtree(root)
        return image


def make_ext4(root: Path, image: Path, spare_mib: int) -> None:
    """An ext4 image that holds the tree `root` and `spare_mib` MiB more."""
    used = int(subprocess.run(["du", "-sm", str(root)], capture_output=True, text=True, check=True).stdout.split()[0])
    inodes = int(subprocess.run(["du", "-s", "--inodes", str(root)], capture_output=True, text=True, check=True).stdout.split()[0])
    # Metadata of ext4 without a journal takes a few percent.
    size = (used + used // 10 + spare_mib) * MIB
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-L", "caraway-root", "-m", "0", "-O", "^has_journal", "-N", str(inodes + 8192)]
        + ["-E", "lazy_itable_init=0,root_owner=0:0", "-d", str(root), str(image)],
        check=True,
    )
