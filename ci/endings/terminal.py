"""The terminal a VM was started from, and caraway as process 1 of a container."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

from harness import kernel, vm
from harness.vm import SECONDS, Failed, expect

from .start import Starts

QUIT = b"\x1d\x1d"
POLL_SECONDS = 0.02


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._controller, self._terminal = pty.openpty()
        self.before = termios.tcgetattr(self._terminal)
        self.process = subprocess.Popen(
            command, env=environment, stdin=self._terminal, stdout=self._terminal, stderr=self._terminal,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.text = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_error) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._controller >= 0:
            os.close(self._controller)
        os.close(self._terminal)

    def hang_up(self) -> None:
        os.close(self._controller)
        self._controller = -1

    def attributes(self) -> list:
        return termios.tcgetattr(self._terminal)

    def type(self, keys: bytes) -> None:
        os.write(self._controller, keys)

    def wait(self, pattern: str, seconds: float = SECONDS) -> None:
        """Waits until what matches was shown."""
        limit = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            left = limit - time.monotonic()
            if left <= 0 or not self._read(left):
                raise Failed(f"terminal: no {pattern!r}; it shows:\n{self.text}")

    def end(self, seconds: float = SECONDS) -> int:
        """The exit code, when it ends by itself; shows what is shown meanwhile."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None:
            expect(time.monotonic() < limit, f"it did not end within {seconds:g} s; the terminal shows:\n{self.text}")
            self._read(POLL_SECONDS)
        while self._read(0):
            pass
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if self._controller < 0:
            time.sleep(seconds)
            return False
        if not select.select([self._controller], [], [], seconds)[0]:
            return False
        self.text += os.read(self._controller, 65536).decode(errors="replace")
        return True


class TerminalEnds:
    def __init__(self, starts: Starts, demo: Path) -> None:
        self.starts = starts
        self.demo = demo

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("Ctrl-] twice quits, the terminal is as before", self.escape),
            ("so it is after a signal", self.signalled),
            ("so it is after a crash of the guest", self.crashed),
            ("so it is after a configuration error", self.misconfigured),
            ("a terminal that hangs up presses the power button", self.hangup),
            ("as process 1 it collects orphans and ends in order", self.init),
        ]

    def start(self, arguments: list[str]) -> Terminal:
        environment = {**os.environ, "CARAWAY_RUN_DIR": str(self.starts.folder / "terminal")}
        return Terminal([str(self.starts.program), "run", *arguments], environment)

    def running(self) -> Terminal:
        """The demo on a terminal, which is raw."""
        terminal = self.start([])
        terminal.wait("Ctrl-\\] twice quits")
        terminal.wait("demo: ready")
        raw = terminal.attributes()
        expect(raw != terminal.before and not raw[3] & (termios.ECHO | termios.ICANON | termios.ISIG), "not raw")
        return terminal

    def restored(self, terminal: Terminal, wanted: int) -> None:
        code = terminal.end()
        expect(code == wanted, f"exit code {code}, wanted {wanted}; the terminal shows:\n{terminal.text}")
        after = terminal.attributes()
        expect(after == terminal.before, f"the terminal was {terminal.before} and is {after}")

    def escape(self) -> None:
        with self.running() as terminal:
            # Everything else is the guest's: interrupt, and the escape once.
            terminal.type(b"\x03help\r")
            terminal.wait("switch the machine off")
            terminal.type(b"\x1dx\r")
            terminal.wait("unknown command: ")
            terminal.type(QUIT)
            self.restored(terminal, 0)

    def signalled(self) -> None:
        with self.running() as terminal:
            terminal.process.send_signal(signal.SIGTERM)
            terminal.wait("demo: power button")
            self.restored(terminal, 0)

    def crashed(self) -> None:
        self.starts.file("crash.elf", kernel.elf(kernel.TRIPLE_FAULT))
        path = self.starts.write("memory = '16 MiB'\n[boot]\nkernel = 'crash.elf'\n[spice]\nlisten = '127.0.0.1:0'\n")
        with self.start([str(path)]) as terminal:
            self.restored(terminal, 3)
            expect("triple-faulted" in terminal.text, f"the terminal shows:\n{terminal.text}")

    def misconfigured(self) -> None:
        path = self.starts.write("cpus = 0\n")
        with self.start([str(path)]) as terminal:
            self.restored(terminal, 2)

    def hangup(self) -> None:
        with self.running() as terminal:
            terminal.hang_up()
            code = terminal.end()
            expect(code == 0, f"exit code {code}; the terminal showed:\n{terminal.text}")

    def init(self) -> str:
        path = self.starts.write(
            f"name = 'init'\nmemory = '64 MiB'\n[boot]\nkernel = '{self.demo}'\n[spice]\nlisten = '127.0.0.1:0'\n"
        )
        wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        with vm.Vm(self.starts.program, [str(path)], wrapper=wrapper) as machine:
            serial = machine.serial()
            serial.wait(r"^demo: ready")
            (init,) = children(machine.process.pid)
            expect(inner_pid(init) == 1, f"caraway is process {inner_pid(init)} of its namespace")
            # The shell ends at once, so its child becomes caraway's.
            inside = ["nsenter", "--target", str(init), "--pid", "--mount"]
            vm.output([*inside, "sh", "-c", "sleep 1000 >/dev/null 2>&1 &"])
            orphan = until(lambda: next(iter(children(init)), None), "the orphan did not become caraway's child")
            os.kill(orphan, signal.SIGTERM)
            until(lambda: not os.path.exists(f"/proc/{orphan}"), "the orphan stayed a zombie")
            os.kill(init, signal.SIGTERM)
            serial.wait(r"^demo: power button")
            code = machine.wait()
            expect((code, machine.errors()) == (0, ""), f"exit code {code}: {machine.errors()}")
        return f"orphan {orphan} collected"


def until(condition: Callable, message: str, seconds: float = SECONDS):
    """What `condition` gives, once it is true."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        expect(time.monotonic() < limit, message)
        time.sleep(POLL_SECONDS)
    return found


def children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                text = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            # The name before it may hold anything, parentheses too.
            if int(text.rpartition(")")[2].split()[1]) == parent:
                found.append(int(name))
    return found


def inner_pid(pid: int) -> int:
    """Its number in the innermost namespace."""
    (line,) = re.findall(r"^NSpid:\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(line.split()[-1])
