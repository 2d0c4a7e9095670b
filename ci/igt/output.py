"""What a test program of IGT prints: results of its subtests, and why they are not passes."""

import re
from dataclasses import dataclass, field

PASS, SKIP, FAIL, CRASH, TIMEOUT = "pass", "skip", "fail", "crash", "timeout"
WORDS = {"SUCCESS": PASS, "SKIP": SKIP, "FAIL": FAIL, "CRASH": CRASH, "TIMEOUT": TIMEOUT}
STARTING = re.compile(r"^Starting subtest: (\S+)")
RESULT = re.compile(r"^Subtest (\S+): ([A-Z]+)")
# A program that is one test has no subtests.
WHOLE = re.compile(r"^(SUCCESS|SKIP|FAIL) \(")
DYNAMIC = re.compile(r"^Dynamic subtest (\S+): (?!SUCCESS|SKIP)")
REQUIREMENT = re.compile(r"^Test requirement: (.*)")
ASSERTION = re.compile(r"CRITICAL: (Failed assertion: .*|error: .*)")
SIGNAL = re.compile(r"^(Received signal \S+)")
ERRNO = re.compile(r"Last errno: \d+, (.*)")
ENDED = re.compile(r"^igt: \S+ ended with (\d+)")
# What a kernel says of itself, on the console.
KERNEL = re.compile(r"(WARNING: CPU: .*|BUG: .*|Oops: .*|Kernel panic.*|general protection fault.*|INFO: task .*)")
# The guest has started, which it is not to do in the middle of a run.
NEW_GUEST = "caraway-guest: ready"
# What else it has to say comes in the middle of a line.
MESSAGE = re.compile(r"\[ *\d+\.\d+\] .*")
LONGEST = 160


@dataclass(frozen=True)
class Result:
    """Of a subtest, or of a program that is one test."""

    outcome: str
    reason: str = ""


@dataclass
class Reader:
    """Takes the lines of a run of `program` as they come."""

    program: str
    results: dict[str, Result] = field(default_factory=dict)
    # The subtest that has started and not ended.
    running: str | None = None
    code: int | None = None
    kernel: list[str] = field(default_factory=list)
    is_new_guest: bool = False
    # What was asked for and is not there, and what was found wrong. The first may be of many subtests at once.
    _asked: str = ""
    _wrong: str = ""

    def line(self, line: str) -> None:
        if found := KERNEL.search(line):
            self.kernel.append(found[1][:LONGEST])
        line = MESSAGE.sub("", line)
        if found := STARTING.match(line):
            self.running, self._asked, self._wrong = found[1], "", ""
        elif found := RESULT.match(line):
            self._result(found[1], WORDS.get(found[2], FAIL))
            self.running = None
        elif found := WHOLE.match(line):
            # After subtests it is the sum of them.
            if not self.results:
                self._result(self.program, WORDS[found[1]])
        elif found := ENDED.match(line):
            self.code = int(found[1])
        elif line == NEW_GUEST:
            self.is_new_guest = not self.kernel
        else:
            self._because(line)

    def _result(self, name: str, outcome: str) -> None:
        reasons = {PASS: "", SKIP: self._asked}
        self.results[name] = Result(outcome, reasons.get(outcome, self._wrong or self._asked))

    def _because(self, line: str) -> None:
        if found := REQUIREMENT.match(line):
            self._asked, self._wrong = found[1][:LONGEST], ""
        elif found := ASSERTION.search(line) or SIGNAL.match(line):
            # The log after a failure has its first line once more.
            if found[1][:LONGEST] not in self._wrong:
                self._wrong = found[1][:LONGEST]
        elif found := ERRNO.search(line):
            if self._wrong:
                self._wrong = _with(self._wrong, found[1])
            else:
                self._asked = _with(self._asked, found[1])
        elif found := DYNAMIC.match(line):
            self._wrong = f"{found[1]}: {self._wrong}"[:LONGEST]


def _with(reason: str, error: str) -> str:
    """A reason with the error that the kernel gave last, once."""
    return f"{reason} ({error})" if reason and f"({error})" not in reason else reason
