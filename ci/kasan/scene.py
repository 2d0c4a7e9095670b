"""A guest whose kernel's log is read at the end: it must have told of nothing."""

import base64
import gzip
import re
from pathlib import Path

from desktop.console import READY, boot_of
from desktop.scene import FAILED, Scene
from harness.vm import Failed, expect

from . import log

# A kernel that looks for faults needs memory for that, and time: what is quick elsewhere takes minutes here.
MEMORY = "1280 MiB"
RUN_SECONDS = 6 * 3600
SLOW_SECONDS = 900.0
# kmemleak tells of no memory that is younger than this (MSECS_MIN_AGE).
LEAK_AGE_SECONDS = 5
# Taints that say nothing: 12 out of tree and 13 not signed, of our modules, and 9, a warning, which is in the log.
EXPECTED_TAINTS = 1 << 9 | 1 << 12 | 1 << 13


class CheckedScene(Scene):
    """A guest with one of our images. To be used with `with`; `finish` reads the log."""

    boot_seconds = client_seconds = SLOW_SECONDS

    def __init__(self, name: str, program: Path, image: dict[str, str], paused: bool = False, **config) -> None:
        config = {"boot": boot_of(image), "memory": MEMORY, **config}
        super().__init__(name, program, config, paused, RUN_SECONDS)
        self._has_checks = "kasan" in Path(image["vmlinuz"]).parent.parent.name

    def begin(self) -> None:
        """Waits for the guest."""
        self.guest.wait_serial(READY)

    def run(self, command: str, seconds: float = SLOW_SECONDS) -> str:
        """What a command in the guest prints; it must succeed."""
        # With the end of the line: otherwise what was written of it so far would do, and the rest be of the next answer.
        ended = self.guest.ask(f"{command}; echo \"ended $?\"", r"^ended (\d+)\n", seconds)
        # What the pattern was looked for in, up to where it was found.
        said = ended.string[ended.pos : ended.start()]
        expect(ended[1] == "0", f"{command!r} ended with {ended[1]}: {said}")
        return said

    def _long(self, command: str) -> str:
        """What a command in the guest prints, if it is long: the serial line is slow."""
        packed = base64.b64decode(self.run(f"{command} | gzip | base64"))
        return gzip.decompress(packed).decode(errors="replace")

    def _scan(self) -> None:
        """Has kmemleak look for memory that nobody refers to: twice, as what is new is not told of at once."""
        self.run("grep -q debugfs /proc/mounts || mount -t debugfs debugfs /sys/kernel/debug")
        self.run(f"echo scan >/sys/kernel/debug/kmemleak; sleep {LEAK_AGE_SECONDS}; echo scan >/sys/kernel/debug/kmemleak")

    def faults(self) -> list[str]:
        """What the kernel has found so far. Kept is all it said."""
        leaks = ""
        if self._has_checks:
            self._scan()
            leaks = self._long("cat /sys/kernel/debug/kmemleak")
        said = self._long("dmesg -r")
        FAILED.mkdir(parents=True, exist_ok=True)
        (FAILED / f"{self.name}.log").write_text(said + leaks, encoding="utf-8")
        found = log.faults(said) + leaks.splitlines()
        taints = int(self.run("cat /proc/sys/kernel/tainted")) & ~EXPECTED_TAINTS
        if taints:
            found.append(f"the kernel is tainted: {taints:#x}")
        if self._has_checks:
            lockdep = self.run("cat /proc/lockdep_stats")
            if not re.search(r"debug_locks: +1$", lockdep, re.MULTILINE):
                found.append("lockdep has given up")
        return found

    def look(self) -> None:
        """The kernel must not have found anything so far."""
        if found := self.faults():
            raise Failed("\n        ".join([f"the kernel's log ({FAILED / self.name}.log):", *found]))

    def amid(self, name: str, commands: str, pattern: str, display: int = 0, first: str = ""):
        """As in any scene. What a reboot would forget is read before."""
        if "reboot" in commands:
            self.look()
        return super().amid(name, commands, pattern, display, first)

    def finish(self) -> str:
        """The end of a check."""
        self.look()
        return super().finish()

