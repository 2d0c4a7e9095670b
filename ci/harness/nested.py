"""A Linux guest in the nested host: caraway runs there, the SPICE client here."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import vm
from .qmp import Qmp
from .vm import CHECKOUT, CLIENT, Failed, expect
from .watcher import Watcher

# Ten times what a boot usually takes.
BOOT_SECONDS = 300.0
# A hundred times what the nested host needs to start a program.
START_SECONDS = 120.0
# In which a nested host is through with what is asked of it.
RUN_SECONDS = 1200
RESULTS = CHECKOUT / "target" / "results"
POLL_SECONDS = 0.2
# Ports in the nested host: SPICE, control, serial line, the page for browsers.
SPICE, CONTROL, SERIAL, WEB = 5900, 5910, 5911, 5980
# Runs in the nested host: caraway, the way to its sockets, and what the harness asks for by making files.
SCRIPT = f"""
export CARAWAY_RUN_DIR=/tmp/caraway-run
"$4" {CONTROL}=/tmp/caraway-run/linux/qmp.sock {SERIAL}=/tmp/caraway-run/linux/serial.sock &
"$1" run $5 "$2" & pid=$!
while kill -0 $pid 2>/dev/null; do
    if [ -e "$3/terminate" ]; then rm "$3/terminate"; kill -TERM $pid; fi
    if [ -e "$3/restore" ]; then
        rm -rf "$3/restore" /tmp/saved
        "$1" ctl linux snapshot /tmp/saved && "$1" ctl linux quit && wait $pid || exit
        "$1" run "$2" --incoming file:/tmp/saved & pid=$!
    fi
    sleep 0.2
done
wait $pid
"""


def image(recipe: str, *arguments: str) -> dict[str, str]:
    """Builds an image; the paths of its parts."""
    command = [str(CHECKOUT / "images" / "build"), recipe, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    expect(done.returncode == 0, f"images/build {recipe}: exit code {done.returncode}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


class NestedVm:
    """`caraway run` with `config` in the nested host, its SPICE port forwarded. To be used with `with`.

    Of `[spice]` the configuration has what is not about the port. With `[web]`, whatever is in it, the page is at
    `web_port`. After `seconds` the nested host ends. What is waited for may take `patience`, if nothing else is said.
    """

    def __init__(
        self, program: Path, config: dict, paused: bool = False, seconds: int = RUN_SECONDS,
        patience: float = BOOT_SECONDS,
    ) -> None:  # fmt: skip
        self._seconds = seconds
        self._patience = patience
        self._config = config
        self._paused = paused
        self._serial: vm.Serial | None = None
        # What the nested host does first, in the shell that then starts the program.
        self.prologue = ""
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="vm-", dir=RESULTS))
        # The nested host sees this checkout, but a program being rebuilt meanwhile must not change under it.
        self._program = shutil.copy(program, self.folder / "caraway")
        self._log = self.folder / "serial.log"
        self._output = self.folder / "stdout"
        self._errors = open(self.folder / "stderr", "w+b")
        self.port, self._control_port, self._serial_port, self.web_port = (str(port) for port in free_ports(4))

    def __enter__(self) -> "NestedVm":
        self._start()
        if not self._announced():
            # caraway never got to run: that is the nested host's failure, and only that is tried again.
            print(f"the nested host did not start caraway within {START_SECONDS:g} s; trying once more", file=sys.stderr)
            self._end()
            self._start()
            if not self._announced():
                said = self.errors()
                self.__exit__(None, None, None)
                raise Failed(f"the nested host did not start caraway, twice: {said}")
        return self

    def _announced(self) -> bool:
        """Whether caraway has said that it runs, or has ended."""
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            if b"VM linux" in self._output.read_bytes() or self.process.poll() is not None:
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _start(self) -> None:
        self._log.touch()
        config = {"name": "linux", "memory": "512 MiB", **self._config}
        # The listener is reached through the nested host's own address.
        config["spice"] = {"listen": f"0.0.0.0:{SPICE}", "insecure": True, **config.get("spice", {})}
        config["serial"] = {"log": str(self._log)}
        forwards = [(self.port, SPICE), (self._control_port, CONTROL), (self._serial_port, SERIAL)]
        if "web" in config:
            config["web"] = {"listen": f"0.0.0.0:{WEB}", **config["web"]}
            forwards.append((self.web_port, WEB))
        path = self.folder / "linux.toml"
        path.write_text(toml(config), encoding="utf-8")
        relay = str(Path(__file__).parent / "relay.py")
        words = (str(self._program), str(path), str(self.folder), relay, "--paused" if self._paused else "")
        self._run(forwards, SCRIPT, *words)

    def _run(self, forwards: list[tuple[str, int]], script: str, *words: str) -> None:
        """Starts the nested host, with a shell script and its arguments, and ports here that lead there."""
        command = [
            str(CHECKOUT / "ci" / "nested"), "--timeout", str(self._seconds),
            *(word for outside, inside in forwards for word in ("--forward", f"{outside}:{inside}")), "--",
            "sh", "-c", self.prologue + script, "sh", *words,
        ]  # fmt: skip
        with open(self._output, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=self._errors)

    def serial(self) -> str:
        """All the guest has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace").replace("\r", "")

    def wait_serial(self, pattern: str, seconds: float | None = None, start: int = 0) -> re.Match:
        """Waits until the guest has printed what matches, after position `start` of all it printed."""
        seconds = seconds or self._patience
        limit = time.monotonic() + seconds
        while True:
            text = self.serial()
            if found := re.compile(pattern, re.MULTILINE).search(text, start):
                return found
            ended = self.process.poll()
            if ended is not None or time.monotonic() >= limit:
                why = f"caraway ended with {ended}" if ended is not None else f"not within {seconds:g} s"
                raise Failed(f"serial line: no {pattern!r}: {why}; it ends with:\n{text[-2000:]}\n{self.errors()}")
            time.sleep(POLL_SECONDS)

    def reached(self, pattern: str, start: int = 0) -> bool:
        """Whether the guest has printed what matches, after position `start`."""
        return re.compile(pattern, re.MULTILINE).search(self.serial(), start) is not None

    def client(self, command: str, *arguments: str, steps: list[dict] | None = None) -> list[dict]:
        """One run of the scripted SPICE client; its answers, one object a line."""
        if steps is not None:
            arguments = (*arguments, "--script", "-")
        text = "".join(json.dumps(step) + "\n" for step in steps or [])
        done = subprocess.run(
            [str(CLIENT), command, "--port", self.port, *arguments], input=text, capture_output=True, text=True,
            timeout=BOOT_SECONDS, check=False,
        )  # fmt: skip
        expect(done.returncode == 0, f"client {command}: {done.stdout.strip()} {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def watch(self, name: str, *arguments: str) -> Watcher:
        """A client that stays connected; it connects while the caller goes on."""
        return Watcher(name, self.port, *arguments, seconds=self._patience)

    def qmp(self) -> Qmp:
        """A connection to the control socket."""
        limit = time.monotonic() + START_SECONDS
        while True:
            # The host's end of the forwarded port is there before the nested host's, and then closes at once.
            try:
                return Qmp(socket.create_connection(("127.0.0.1", int(self._control_port)), START_SECONDS))
            except (Failed, OSError) as error:
                if time.monotonic() >= limit:
                    raise Failed(f"cannot reach the control socket: {error}") from error
                time.sleep(POLL_SECONDS)

    def send(self, line: str) -> None:
        """Sends a line on the serial console."""
        if self._serial is None:
            connection = socket.create_connection(("127.0.0.1", int(self._serial_port)), START_SECONDS)
            connection.settimeout(None)
            self._serial = vm.Serial(connection)
        self._serial.send(line)

    def ask(self, line: str, pattern: str, seconds: float | None = None) -> re.Match:
        """Sends a line on the serial console and waits for the answer to it."""
        start = len(self.serial())
        self.send(line)
        return self.wait_serial(pattern, seconds, start)

    def terminate(self) -> None:
        """Sends caraway SIGTERM."""
        (self.folder / "terminate").touch()

    def restore(self) -> None:
        """Has caraway save the machine and end, and another one go on with it."""
        starts = self._output.read_bytes().count(b"VM linux")
        (self.folder / "restore").touch()
        limit = time.monotonic() + BOOT_SECONDS
        while self._output.read_bytes().count(b"VM linux") == starts:
            expect(self.process.poll() is None, f"caraway was not restored: {self.errors()}")
            expect(time.monotonic() < limit, f"caraway was not restored within {BOOT_SECONDS:g} s: {self.errors()}")
            time.sleep(POLL_SECONDS)
        # The serial socket is another process's now.
        self._serial = None

    def wait(self, seconds: float = BOOT_SECONDS) -> int:
        """caraway's exit code, when it ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"caraway did not end within {seconds:g} s; the guest said:\n{self.serial()[-2000:]}") from error

    def errors(self) -> str:
        """What caraway and the nested host have written to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __exit__(self, kind, _value, _trace) -> None:
        if self._serial is not None:
            self._serial.close()
        self._end()
        if kind is not None:
            print(self.errors(), file=sys.stderr)
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def toml(config: dict) -> str:
    """Scalars first, then tables and arrays of tables, as TOML wants it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items() if not isinstance(value, dict | list)]
    for key, value in config.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                head = f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
                lines += [head, *(f"{name} = {json.dumps(entry)}" for name, entry in table.items())]
    return "\n".join(lines) + "\n"
