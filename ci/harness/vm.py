"""A VM under test: the real program, started as a person would, watched through what it offers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CLIENT = CHECKOUT / "ci" / "spice" / "client.py"
SECONDS = 60.0


class Failed(Exception):
    """An expectation did not hold; the text says which."""


def expect(condition, message: str) -> None:
    """Raises unless `condition` holds."""
    if not condition:
        raise Failed(message)


def run(command: list[str]) -> int:
    """Runs a command to its end; its exit code."""
    return subprocess.run(command, check=False).returncode


def output(command: list[str], seconds: float = SECONDS * 5) -> str:
    """What a command writes to standard output; it must succeed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command)}: not done within {seconds:g} s") from error
    expect(done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def build(*arguments: str, package: str = "caraway-cli", program: str = "caraway") -> Path:
    """Builds a program of a package; its path. `--release` builds what users run, without it everything is in it.

    With CARAWAY_BUILT it has been: where ci/test has just had cargo build it for its tests.
    """
    built = os.environ.get("CARAWAY_BUILT")
    if built and program == "caraway" and not arguments:
        return Path(built)
    # Only the program has devices.
    every = "h264,misbehave" if package == "caraway-cli" else "h264"
    features = [] if "--release" in arguments else ["--features", every]
    command = ["cargo", "build", "--package", package, *features, "--message-format=json-render-diagnostics"]
    command += arguments
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    expect(done.returncode == 0, f"cargo build failed with exit code {done.returncode}")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == program:
            return Path(message["executable"])
    raise Failed(f"cargo built no {program}")


def guest(name: str) -> Path:
    """Builds the bare-metal guests; the ELF of one."""
    (path,) = [line for line in output([str(CHECKOUT / "ci" / "guests")]).splitlines() if line.endswith(f"/{name}")]
    return Path(path)


@dataclass(frozen=True)
class Ended:
    """A run of the program that has ended: exit code, output, and what is left in the run directory."""

    code: int
    out: str
    err: str
    left: list[str]


def run_to_end(
    program: Path, arguments: list[str], *, wrapper: list[str] | None = None, run_directory: str | None = None,
    seconds: float = SECONDS,
) -> Ended:  # fmt: skip
    """Runs the program, by default with a run directory of its own, until it ends by itself."""
    with tempfile.TemporaryDirectory(prefix="caraway-") as folder:
        run_directory = run_directory or f"{folder}/run"
        command = [*(wrapper or []), str(program), *arguments]
        try:
            done = subprocess.run(
                command, env={**os.environ, "CARAWAY_RUN_DIR": run_directory}, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{' '.join(command)} did not end within {seconds:g} s") from error
        left = sorted(os.listdir(run_directory)) if os.path.isdir(run_directory) else []
        return Ended(done.returncode, done.stdout, done.stderr, left)


def unix(path: str) -> socket.socket:
    """A connection to a Unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


class Serial:
    """A client of the serial socket that keeps all it was sent."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._changed = threading.Condition()
        self._text = ""
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while data := self._receive():
            with self._changed:
                self._text += data.decode(errors="replace")
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""

    @property
    def text(self) -> str:
        with self._changed:
            return self._text

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def wait(self, pattern: str, seconds: float = SECONDS, start: int = 0) -> re.Match:
        """Waits until the guest has printed what matches, after position `start` of all it printed."""
        limit = time.monotonic() + seconds
        with self._changed:
            while not (found := re.compile(pattern, re.MULTILINE).search(self._text, start)):
                left = limit - time.monotonic()
                if left <= 0 or self._ended:
                    why = "the console ended" if self._ended else f"not within {seconds:g} s"
                    raise Failed(f"serial console: no {pattern!r}: {why}; it ends with:\n{self._text[-2000:]}")
                self._changed.wait(left)
        return found

    def ask(self, line: str, pattern: str, seconds: float = SECONDS) -> re.Match:
        """Sends a line and waits for the answer to it."""
        start = len(self.text)
        self.send(line)
        return self.wait(pattern, seconds, start)

    def close(self) -> None:
        try:
            # The reader waits in it, and would keep the connection.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The VM has gone.
            pass
        self._socket.close()


class Vm:
    """`caraway run` with a run directory of its own. To be used with `with`; ends the process if it still runs."""

    def __init__(
        self, program: Path, arguments: list[str], wrapper: list[str] | None = None, passed: Iterable[int] = ()
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="caraway-")
        self.run_directory = f"{self._folder.name}/run"
        self.state_directory = f"{self._folder.name}/state"
        self.environment = {
            **os.environ, "CARAWAY_RUN_DIR": self.run_directory, "CARAWAY_STATE_DIR": self.state_directory,
        }  # fmt: skip
        self.program = program.resolve()
        self._command = [*(wrapper or []), str(self.program), "run", *arguments]
        # Descriptors it gets from here.
        self._passed = tuple(passed)
        self._errors = open(f"{self._folder.name}/stderr", "w+b")
        self.started_ns = 0
        self.ready_ns = 0

    def __enter__(self) -> "Vm":
        self.started_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.process = subprocess.Popen(
            self._command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, pass_fds=self._passed,
        )  # fmt: skip
        try:
            self._read_announcement()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _read_announcement(self) -> None:
        first = self.process.stdout.readline()
        self.ready_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        found = re.fullmatch(r"VM (\S+) \(pid (\d+)\)\n", first)
        if not found:
            code = self.process.wait(SECONDS)
            raise Failed(f"caraway did not start, exit code {code}: {first}{self.errors()}")
        self.name = found[1]
        self.places = {}
        # The announcement is written at once; its last line is the serial console's.
        while "serial" not in self.places:
            key, value = self.process.stdout.readline().split(maxsplit=1)
            self.places[key] = value.split()[0]

    @property
    def port(self) -> str:
        """The SPICE port."""
        return self.places["screen"].rpartition(":")[2]

    def serial(self) -> Serial:
        return Serial(unix(self.places["serial"]))

    def ctl(
        self, *arguments: str, check: bool = True, typed: str | None = None, folder: Path | None = None
    ) -> subprocess.CompletedProcess:
        """`caraway ctl` for this VM, with `typed` on its standard input, started in `folder`."""
        done = subprocess.run(
            [str(self.program), "ctl", self.name, *arguments], env=self.environment, capture_output=True, text=True,
            timeout=SECONDS * 2, check=False, input=typed, cwd=folder,
        )  # fmt: skip
        if check:
            said = f"exit code {done.returncode}: {done.stderr.strip()}"
            expect(done.returncode == 0, f"caraway ctl {self.name} {' '.join(arguments)}: {said}")
        return done

    @property
    def tls_port(self) -> str:
        """The port for TLS."""
        return self.places["tls"].rpartition(":")[2]

    def client(
        self, command: str, *arguments: str, steps: list[dict] | None = None, check: bool = True,
        where: list[str] | None = None,
    ) -> list[dict]:  # fmt: skip
        """One run of the scripted SPICE client, on the SPICE port or `where` it is told; its answers, one object a line."""
        where = where or ["--port", self.port]
        if steps is not None:
            arguments = (*arguments, "--script", "-")
        text = "".join(json.dumps(step) + "\n" for step in steps or [])
        done = subprocess.run(
            [str(CLIENT), command, *where, *arguments], input=text, capture_output=True, text=True,
            timeout=SECONDS * 5, check=False,
        )  # fmt: skip
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if check:
            expect(done.returncode == 0, f"client {command}: {done.stdout.strip()} {done.stderr.strip()}")
        return answers

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit code, when it ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"caraway did not end within {seconds:g} s") from error

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def errors(self) -> str:
        """What it has written to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def __exit__(self, kind, _value, _trace) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if kind is not None:
            print(self.errors(), file=sys.stderr)
        self._errors.close()
        self._folder.cleanup()
