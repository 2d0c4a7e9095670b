"""A QMP client that hides nothing: what was sent and received, line by line."""

import json
import select
import socket
import time

from .vm import SECONDS, Failed, expect, unix


class Qmp:
    """A connection to a control socket, by its path or made already; negotiated unless told otherwise.

    To be used with `with`.
    """

    def __init__(self, where: str | socket.socket, negotiate: bool = True) -> None:
        self.socket = unix(where) if isinstance(where, str) else where
        self._received = b""
        self._events: list[dict] = []
        self._sent = 0
        # Bytes read at the end, by `ended`.
        self.read = 0
        self.greeting = self.receive()
        if negotiate:
            self.execute("qmp_capabilities")

    def __enter__(self) -> "Qmp":
        return self

    def __exit__(self, *_error) -> None:
        self.socket.close()

    def send(self, line: bytes) -> None:
        self.socket.sendall(line + b"\n")

    def receive(self, seconds: float = SECONDS) -> dict:
        """The next message, whatever it is."""
        limit = time.monotonic() + seconds
        while b"\n" not in self._received:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise Failed(f"QMP: nothing within {seconds:g} s")
            data = self.socket.recv(1 << 20)
            expect(data, f"QMP: the connection ended in the middle of {self._received[:200]!r}")
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        return json.loads(line)

    def reply(self, seconds: float = SECONDS) -> dict:
        """The next reply; events on the way are kept."""
        while "event" in (message := self.receive(seconds)):
            self._events.append(message)
        return message

    def ask(self, command: str, arguments: dict | None = None, seconds: float = SECONDS) -> dict:
        """Sends a command and returns the whole reply, its id checked."""
        self._sent += 1
        request = {"execute": command, "id": {"number": self._sent}}
        if arguments is not None:
            request["arguments"] = arguments
        self.send(json.dumps(request).encode())
        reply = self.reply(seconds)
        expect(reply.get("id") == request["id"], f"QMP: {command}: the reply to {request['id']} is {reply}")
        return reply

    def execute(self, command: str, arguments: dict | None = None, seconds: float = SECONDS):
        """What a command returns; it must succeed."""
        reply = self.ask(command, arguments, seconds)
        expect("return" in reply, f"QMP: {command}: {reply}")
        return reply["return"]

    def refused(self, command: str, arguments: dict | None = None) -> dict:
        """The error of a command, which must fail."""
        reply = self.ask(command, arguments)
        expect("error" in reply, f"QMP: {command} {arguments} was accepted: {reply}")
        return reply["error"]

    def any_event(self, seconds: float = SECONDS) -> dict:
        """The next event."""
        message = self._events.pop(0) if self._events else self.receive(seconds)
        stamp = message.get("timestamp", {})
        expect(set(stamp) == {"seconds", "microseconds"}, f"QMP: wanted an event with a timestamp, got {message}")
        return message

    def event(self, name: str, seconds: float = SECONDS) -> dict:
        """Waits for an event of this name; others before it are dropped."""
        limit = time.monotonic() + seconds
        while True:
            try:
                message = self.any_event(max(limit - time.monotonic(), 0))
            except Failed as error:
                raise Failed(f"QMP: no event {name}: {error}") from error
            if message["event"] == name:
                return message

    def forget(self) -> None:
        """Drops the events that were kept."""
        self._events.clear()

    def ended(self, seconds: float = SECONDS) -> bool:
        """Reads to the end of the connection; whether it came in time."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0 and select.select([self.socket], [], [], left)[0]:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                return True
            if not data:
                return True
            self.read += len(data)
        return False
