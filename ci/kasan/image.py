"""The guest of ci/suites/kasan: the console image with our drivers, and with programs that use them."""

import subprocess
from pathlib import Path

from debian import cache, initramfs, kernel, modules, recipe
from harness.nested import CHECKOUT

from . import kernel as checking

DRIVERS = CHECKOUT / "guest-drivers" / "linux"
FOLDER = Path(__file__).parent
EXERCISE = FOLDER / "exercise"
# Nobody reads the log before the end, and every fault is to be in it.
CMDLINE = "log_buf_len=8M kasan_multi_shot"


def plain() -> dict[str, str]:
    """The image with Debian's kernel."""
    return _image(kernel.load())


def checked() -> dict[str, str]:
    """The image with the kernel that looks for faults."""
    return _image(checking.load())


def _image(linux: kernel.Kernel) -> dict[str, str]:
    console = recipe.read("test-console")
    base = recipe.initramfs_of(
        linux, console.init, console.modules, [DRIVERS / "vdiport", FOLDER / "planted"], {"qxl": DRIVERS / "qxl"}
    )
    program = _exercise(linux).read_bytes()

    def fill(folder: Path) -> None:
        more = initramfs.Archive()
        more.file("bin/exercise", program, executable=True)
        # The kernel unpacks archives one after the other.
        (folder / "initramfs").write_bytes(base.read_bytes() + more.finish())

    name = cache.digest(base.parent.name, Path(__file__).read_bytes(), program)
    cmdline = f"{console.cmdline} {CMDLINE}"
    archive = cache.entry("initramfs", name, fill) / "initramfs"
    # Entered by its PVH note: unpacking it on a processor in a processor in a program would take long.
    return {"vmlinuz": str(linux.vmlinux), "initramfs": str(archive), "cmdline": cmdline}


def _exercise(linux: kernel.Kernel) -> Path:
    """The program that uses display devices, with nothing that it would need of the guest."""
    # The numbers of the ioctls, of which the system's own headers have none.
    tree = linux.headers or modules.headers(linux.release).with_name(f"linux-headers-{_common(linux.release)}")
    sources = sorted(EXERCISE.iterdir())
    name = cache.digest(linux.name, Path(__file__).read_bytes(), *(path.read_bytes() for path in sources))

    def build(folder: Path) -> None:
        command = ["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-D__user="]
        command += ["-idirafter", str(tree / "include" / "uapi"), "-o", str(folder / "exercise")]
        subprocess.run([*command, *(str(path) for path in sources if path.suffix == ".c")], check=True)

    return cache.entry("exercise", name, build) / "exercise"


def _common(release: str) -> str:
    """The part of the name of Debian's headers that all flavours of a kernel have in common."""
    return f"{release.removesuffix('-amd64')}-common"
