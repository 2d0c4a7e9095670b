"""What the compiler, sparse and checkpatch say about the source of kernel modules."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from debian import cache, modules, source
from debian.kernel import Kernel
from harness.vm import CHECKOUT, Failed, expect

LINE_LENGTH = 120
# What gcc and sparse say of a place in a file, and modpost of a module. What else the build says depends on the machine.
FINDING = re.compile(r"^(?:\S+:\d+(?::\d+)?: (?:fatal )?(?:warning|error)|(?:WARNING|ERROR): modpost): .*$", re.MULTILINE)
# Faults in a module that has none otherwise: who is to find it, what it says, a line of a function.
FAULTS = [
    ("compiler", "unused variable", "int unused;"),
    ("sparse", "incorrect type in assignment", "counter = cpu_to_le32(counter);"),
    ("sparse", "different address spaces", "writel(0, (void *)&counter);"),
    ("checkpatch", "SPACING", "counter=1;"),
    ("checkpatch", "MEMORY_BARRIER", "smp_mb();"),
    ("checkpatch", "LONG_LINE", f"counter = {'1 + ' * LINE_LENGTH}1;"),
]
PLANTED = """\
// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <linux/io.h>
#include <linux/module.h>

static u32 counter;

static int __init planted_init(void)
{
	counter++;
%s	return 0;
}
module_init(planted_init);
MODULE_DESCRIPTION("Has a fault that is to be found");
MODULE_LICENSE("Dual MIT/GPL");
"""


def compiled(kernel: Kernel, folder: Path) -> list[str]:
    """What the compiler and sparse find in the module in `folder`, built against the headers of a kernel."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    checker = subprocess.run(["sparse", "--version"], capture_output=True, text=True, check=True).stdout
    content = [part for path in files for part in (path.name, path.read_bytes())]
    name = cache.digest(kernel.name, checker, Path(__file__).read_bytes(), *content)

    def look(work: Path) -> None:
        for path in files:
            shutil.copy(path, work)
        command = ["make", "-C", str(modules.headers(kernel.release)), f"M={work}", "W=1", "C=2"]
        command += ["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "LC_ALL": "C"},
            check=False,
        )  # fmt: skip
        found = sorted({found.replace(f"{work}/", "") for found in FINDING.findall(done.stdout)})
        expect(found or done.returncode == 0, f"{folder.name} for {kernel.release} is not built:\n{done.stdout}")
        for file in work.iterdir():
            file.unlink() if file.is_file() else shutil.rmtree(file)
        (work / "findings").write_text("".join(f"{line}\n" for line in found), encoding="utf-8")

    return (cache.entry("module-findings", name, look) / "findings").read_text(encoding="utf-8").splitlines()


def styled(files: list[Path]) -> list[str]:
    """What checkpatch finds in `files`."""
    command = ["perl", str(source.checkpatch()), "--strict", "--no-tree", f"--max-line-length={LINE_LENGTH}"]
    command += ["--terse", "--show-types", "--no-summary", "--file", *(str(path) for path in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(not done.stderr, f"checkpatch: {done.stderr}")
    lines = done.stdout.replace(f"{CHECKOUT}/", "").splitlines()
    expect(lines or done.returncode == 0, f"checkpatch: exit code {done.returncode}")
    return lines


def clean(found: list[str]) -> str:
    """A check's answer when nothing was found; otherwise the check fails with it."""
    if found:
        raise Failed("\n        ".join([f"{len(found)} findings", *found]))
    return ""


def notices(folder: Path, who: str, kernels: list[Kernel]) -> str:
    """Whether a checker finds the faults that are for it, each by itself, and nothing where none is."""

    def findings() -> list[list[str]]:
        if who == "checkpatch":
            return [styled([folder / "planted.c"])]
        return [compiled(kernel, folder) for kernel in kernels]

    (folder / "Makefile").write_text("obj-m := planted.o\n", encoding="utf-8")
    faults = [(said, line) for finder, said, line in FAULTS if finder == who]
    for said, line in [("", ""), *faults]:
        (folder / "planted.c").write_text(PLANTED % (f"\t{line}\n" if line else ""), encoding="utf-8")
        for found in findings():
            if not line:
                expect(not found, f"something is found where nothing is wrong: {found}")
            else:
                expect(any(said in text for text in found), f"{line!r} is not noticed as {said!r}, only {found}")
    return f"notices {len(faults)} violations"
