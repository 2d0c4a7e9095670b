"""Two programs that do the same work, ours and the reference's, measured in turns."""

import subprocess
import time
from pathlib import Path
from statistics import median


class BenchError(Exception):
    """A program does not do what it should; the text says which and what."""


class Side:
    """A program that takes the commands of `ours/src/main.rs`. To be used with `with`."""

    def __init__(self, name: str, program: Path) -> None:
        self.name, self._program = name, program

    def __enter__(self):
        self._process = subprocess.Popen(
            [str(self._program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()

    def begin(self, command: str) -> None:
        """Sends a command; `answer` has to follow."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[int]:
        """The numbers of the answer to the last command."""
        line = self._process.stdout.readline().split()
        if line[:1] != ["ok"]:
            raise BenchError(f"{self.name}: ended with {self._process.wait()}")
        return [int(word) for word in line[1:]]

    def do(self, command: str) -> list[int]:
        """Sends a command and waits; the numbers of the answer."""
        self.begin(command)
        return self.answer()


def repeats(sides: list[Side], operation: str, least_ns: float) -> int:
    """How often the slower side has to do `operation` for `least_ns`. Warms both up."""
    longest = max(side.do(f"run {operation} 1")[0] for side in sides)
    longest = max(min(side.do(f"run {operation} 1")[0] for side in sides), longest / 4, 1)
    return max(1, round(least_ns / longest))


def in_turns(sides: list[Side], operation: str, rounds: int, least_ns: float = 30e6) -> list[float]:
    """Nanoseconds of one `operation` on each side: medians of `rounds` samples that take turns."""
    count = repeats(sides, operation, least_ns)
    samples: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, times in zip(sides, samples):
            times.append(side.do(f"run {operation} {count}")[0] / count)
    return [median(times) for times in samples]


def together(sides: list[Side], operation: str) -> float:
    """Seconds until all sides have done `operation`, all at the same time."""
    began = time.monotonic()
    for side in sides:
        side.begin(f"run {operation}")
    for side in sides:
        side.answer()
    return time.monotonic() - began
