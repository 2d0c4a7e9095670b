"""The part of the QXL driver that decides what is sent, as a program, with a device that draws what it sends."""

import re
import subprocess
from pathlib import Path

from harness.vm import CHECKOUT, Failed, expect

DRIVER = CHECKOUT / "guest-drivers" / "linux" / "qxl"
SIMULATION = Path(__file__).parent / "simulation"
# What of the driver needs no kernel beside what shim.h has.
PARTS = ("pixels", "shown", "moved", "recent", "tiles", "look", "motion", "cache", "command", "draw")
FLAGS = ("-g", "-O1", "-Wall", "-Wno-address-of-packed-member", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
SEEDS, FRAMES = 6, 400


def build(folder: Path, *more: str) -> Path:
    """The program; each header of the kernel that is asked for is the shim."""
    sources = [DRIVER / f"qxl_{part}.c" for part in PARTS]
    for path in (*sources, *DRIVER.glob("*.h")):
        for header in re.findall(r"#include <(.+)>", path.read_text(encoding="utf-8")):
            (folder / header).parent.mkdir(parents=True, exist_ok=True)
            (folder / header).write_text('#include "shim.h"\n', encoding="utf-8")
    program = folder / "simulation"
    command = ["gcc", *FLAGS, *more, f"-I{folder}", f"-I{SIMULATION}", f"-I{DRIVER}", "-o", program]
    done = subprocess.run([*command, SIMULATION / "simulation.c", *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"the simulation is not built: {done.stderr}")
    return program


def runs(folder: Path) -> str:
    """Whatever happens on the heads, the device shows it in the end."""
    program = build(folder)
    total: dict[str, int] = {}
    for seed in range(1, SEEDS + 1):
        done = subprocess.run([program, str(seed), str(FRAMES)], capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr[-4000:]}")
        for count, what in re.findall(r"(\d+) (\w+)", done.stdout):
            total[what] = total.get(what, 0) + int(count)
    for what in ("pictures", "again", "fills", "copies", "refused", "races"):
        expect(total.get(what, 0) > 0, f"no {what} in {SEEDS} runs: {total}")
    return ", ".join(f"{count} {what}" for what, count in total.items())


def notices(folder: Path) -> str:
    """A device that copies from one column too far is found out."""
    done = subprocess.run([build(folder, "-DPLANTED"), "1", str(FRAMES)], capture_output=True, text=True, check=False)
    expect(done.returncode == 1 and "another picture is shown" in done.stdout, f"not noticed: {done.stdout}{done.stderr[-4000:]}")
    return ""
