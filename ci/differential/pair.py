"""The server with our canvas, and spice-gtk, which looks at it."""

import base64
import json
import subprocess
import tempfile
from pathlib import Path

import numpy

from harness.vm import Failed, expect
from spice.picture import FNV_OFFSET, FNV_PRIME

CLIENT = Path(__file__).resolve().parent / "client.py"


class Ended(Failed):
    """One of the two processes is gone."""


class Pair:
    """The server with our canvas, and a client that looks at it."""

    def __init__(self, server: list[str], displays: int = 1, wish: int | None = None) -> None:
        self._errors = tempfile.TemporaryFile("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen(server, **pipes)
        port = json.loads(self.server.stdout.readline())["port"]
        self.client = subprocess.Popen([CLIENT, str(port), str(displays), *([] if wish is None else [str(wish)])], stderr=self._errors, **pipes)
        self._answer(self.client)

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_error) -> None:
        for process in (self.client, self.server):
            process.kill()
            process.wait()

    def _answer(self, process: subprocess.Popen):
        line = process.stdout.readline()
        if not line:
            name = "client" if process is self.client else "server"
            raise Ended(f"the {name} ended with {process.wait()}: {self.said()}")
        return json.loads(line)

    def said(self) -> str:
        """What spice-gtk has complained about."""
        self._errors.seek(0)
        return self._errors.read().strip()

    def ask(self, **request):
        """A request to the server; its answer."""
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return self._answer(self.server)

    def seen(self, answer: dict, display: int = 0) -> dict:
        """What the client's surface is at a barrier."""
        try:
            self.client.stdin.write(f"{answer['barrier']} {display}\n")
            self.client.stdin.flush()
        except BrokenPipeError:
            pass
        return self._answer(self.client)

    def fingerprint(self, answer: dict) -> str:
        """Of the significant bits of all pixels that the client has: 64-bit FNV-1a, in hex."""
        rows = numpy.frombuffer(base64.b64decode(self.seen(answer)["rows"]), numpy.uint8)
        value = FNV_OFFSET
        for byte in (rows & numpy.resize(numpy.array(answer["significant"], numpy.uint8), rows.size)).tobytes():
            value = ((value ^ byte) * FNV_PRIME) % 2**64
        return f"{value:016x}"

    def pictures(self, answer: dict, display: int = 0) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The significant bits of our canvas and of the client's surface: rows of pixels of bytes."""
        seen = self.seen(answer, display)
        ours = [answer[key] for key in ("format", "width", "height")]
        theirs = [seen[key] for key in ("format", "width", "height")]
        expect(ours == theirs, f"the canvas is {ours}, the client's surface {theirs}")
        height = answer["height"]
        each = {8: 1, 16: 2, 80: 2}.get(answer["format"], 4)
        canvas, client = (_pixels(text, height, each, answer["significant"]) for text in (answer["pixels"], seen["rows"]))
        return canvas, client

    def differs(self, answer: dict, display: int = 0) -> str | None:
        """Waits for the client, and says what its surface has that the canvas does not."""
        canvas, client = self.pictures(answer, display)
        wrong = (canvas != client).any(axis=2)
        if not wrong.any():
            return None
        y, x = numpy.argwhere(wrong)[0]
        values = [pixel[y, x].tobytes()[::-1].hex() for pixel in (canvas, client)]
        return f"{wrong.sum()} pixels differ, the first at {x}, {y}: canvas {values[0]}, client {values[1]}"


def _pixels(text: str, height: int, each: int, mask: list[int]) -> numpy.ndarray:
    rows = numpy.frombuffer(base64.b64decode(text), numpy.uint8).reshape(height, -1)
    masked = rows & numpy.resize(numpy.array(mask, numpy.uint8), rows.shape[1])
    return masked.reshape(height, -1, each)
