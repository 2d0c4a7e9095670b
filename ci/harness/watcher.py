"""A scripted SPICE client that stays connected while other things happen."""

import json
import os
import queue
import re
import subprocess
import tempfile
import threading
import time
import typing

from .vm import CLIENT, Failed, expect

# Between two looks at what a client has logged.
LOOK_SECONDS = 0.02


class Steps:
    """A program that is given one step at a time and answers each, by lines of JSON. To be used with `with`."""

    def __init__(
        self, name: str, command: list[str], *, seconds: float, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self._seconds = seconds
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, do: str, **arguments) -> dict:
        """The answer to a step, with `ok` false and `error` when it failed; the client has ended then."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # Its last line says why it ended.
            pass
        try:
            line = self._lines.get(timeout=self._seconds + arguments.get("seconds", 0))
        except queue.Empty as error:
            raise Failed(f"client {self.name}: no answer to {do}") from error
        if not line:
            raise Failed(f"client {self.name}: ended before {do}: {self.log()}")
        return json.loads(line)

    def step(self, do: str, **arguments) -> dict:
        """The answer to a step, which must succeed."""
        answer = self.ask(do, **arguments)
        expect(answer["ok"], f"client {self.name}: {do}: {answer.get('error')}")
        return answer

    def log(self) -> str:
        """What it has written to standard error; with `--debug` that is spice-gtk's log."""
        # Not by the file's position, which the client has too.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")

    def logged(self, pattern: str, count: int = 1) -> list[str]:
        """Waits until the log has matches of a pattern; all of them."""
        limit = time.monotonic() + self._seconds
        while len(found := re.findall(pattern, self.log())) < count:
            expect(time.monotonic() < limit, f"client {self.name}: {len(found)} of {count} {pattern!r} in its log")
            time.sleep(LOOK_SECONDS)
        return found

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """It ends where it is."""
        self._process.kill()

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *_error) -> None:
        # The end of its input is the end of the client.
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            # It has ended already.
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class Watcher(Steps):
    """`client.py drive` on a port, or where its arguments say."""

    def __init__(
        self, name: str, port: str | None, *arguments: str, seconds: float, environment: dict[str, str] | None = None
    ) -> None:
        command = [
            str(CLIENT), "drive", *(["--port", port] if port else []), "--connect-seconds", f"{seconds:g}",
            "--seconds", f"{seconds:g}", *arguments, "--script", "-",
        ]  # fmt: skip
        super().__init__(name, command, seconds=seconds, environment=environment)
