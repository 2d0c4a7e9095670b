"""What the reports of the benches have in common."""

import platform
import subprocess
import time
from math import exp, log
from pathlib import Path


def mean(values) -> float:
    """The geometric mean."""
    values = list(values)
    return exp(sum(map(log, values)) / len(values))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return "unknown"


def measured_on() -> str:
    """When and on what this is measured."""
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return f"Measured on {time.strftime('%Y-%m-%d')}, {_processor()}, rustc {rustc[1]}, Linux {platform.release()}."
