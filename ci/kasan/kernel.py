"""The kernel of ci/suites/kasan: Debian's source, the default configuration for x86-64 and what kernel.config changes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from debian import cache, source
from debian.kernel import Kernel, KernelError

CONFIG = Path(__file__).parent / "kernel.config"
# What a build of this kernel does not read: documents and, of other processors, all but the configuration.
LEAVE_OUT = ("*/Documentation/*/*", "*/tools/testing/*", "*/arch/*/boot/dts/*", "*/arch/*/mach-*")
# Settings in the form that ends up in .config.
SETTING = re.compile(r"^(?:(CONFIG_\w+)=(.+)|# (CONFIG_\w+) is not set)$")
# What modules are built with, as in Debian's package of headers.
KEPT = ("Makefile", ".config", "Module.symvers", "include", "scripts", "arch/x86", "tools/objtool/objtool")
SETTINGS = (
    # Unless they are given, every build has others.
    "KBUILD_BUILD_USER=caraway", "KBUILD_BUILD_HOST=caraway", "KBUILD_BUILD_TIMESTAMP=1970-01-01",
    # What the PVH entry runs first, which is before KASAN has its memory; it compares memory with a function of lib/string.c.
    "KASAN_SANITIZE_enlighten.o=n", "UBSAN_SANITIZE_enlighten.o=n",
    "KASAN_SANITIZE_string.o=n", "UBSAN_SANITIZE_string.o=n",
)  # fmt: skip


def load(jobs: int | None = None) -> Kernel:
    """The kernel, built once for a version of the source and a configuration; that takes half an hour of two processors."""
    version = source.version()
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    name = f"{version.replace(':', '%3a')}-{cache.digest(CONFIG.read_bytes(), compiler, *SETTINGS, *KEPT)}"

    def build(folder: Path) -> None:
        tree = folder / "tree"
        tree.mkdir()
        source.unpack(tree, leave_out=LEAVE_OUT)
        configure(tree)
        make(tree, f"-j{jobs or os.cpu_count()}", "vmlinux", "modules")
        keep(tree, folder)
        shutil.rmtree(tree)

    folder = cache.entry("kasan", name, build)
    release = (folder / "release").read_text(encoding="utf-8").strip()
    return Kernel(f"kasan-{name}", release, folder / "vmlinux", folder / "vmlinux", folder / "modules", folder / "headers")


def configure(tree: Path) -> None:
    """Makes the configuration, and sees that it is what was asked for."""
    make(tree, "x86_64_defconfig")
    config = tree / ".config"
    config.write_text(config.read_text(encoding="utf-8") + CONFIG.read_text(encoding="utf-8"), encoding="utf-8")
    make(tree, "olddefconfig")
    if wrong := differences(CONFIG.read_text(encoding="utf-8"), config.read_text(encoding="utf-8")):
        raise KernelError(f"the configuration has not become what {CONFIG.name} says: {', '.join(wrong)}")


def differences(wanted: str, config: str) -> list[str]:
    """The settings of `wanted` that `config` does not have. One that is off may be missing there altogether."""

    def settings(text: str) -> dict[str, str]:
        found = (SETTING.match(line) for line in text.splitlines())
        return {match[1] or match[3]: match[2] or "n" for match in found if match}

    has = settings(config)
    return [f"{name}={value}" for name, value in settings(wanted).items() if has.get(name, "n") != value]


def make(tree: Path, *targets: str) -> None:
    """Runs `make` in the kernel's tree."""
    # Keeps what the machine sets for its own builds out of this one.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "ARCH", "CFLAGS")}
    done = subprocess.run(
        ["make", *SETTINGS, *targets], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**environment, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise KernelError(f"make {' '.join(targets)}: exit code {done.returncode}\n{done.stdout[-4000:]}")


def keep(tree: Path, folder: Path) -> None:
    """Moves what is needed of a built tree into `folder`: the kernel, and what modules are built with."""
    # Its symbols are in it a second time, as data, for the kernel itself.
    subprocess.run(["strip", "-o", str(folder / "vmlinux"), str(tree / "vmlinux")], check=True)
    release = (tree / "include" / "config" / "kernel.release").read_text(encoding="utf-8")
    (folder / "release").write_text(release, encoding="utf-8")
    (folder / "modules").mkdir()
    shutil.move(tree / "modules.builtin", folder / "modules")
    for part in KEPT:
        (folder / "headers" / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tree / part, folder / "headers" / part)
    for object_file in (folder / "headers" / "arch").rglob("*.[oa]"):
        object_file.unlink()
