"""Clients that break the link stage of SPICE. The machine must not notice."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from harness import scene, spice, vm
from harness.vm import expect

from .start import Starts

PASSWORD = "correct horse"
CONNECTIONS = 200
# The server's own limit is 10 s.
LINK_SECONDS = 30.0


class LinkStage:
    """A demo VM with a ticket, attacked by each check in turn."""

    def __init__(self, starts: Starts, demo: Path) -> None:
        starts.file("ticket", f"{PASSWORD}\n".encode())
        path = starts.write(
            f"memory = '64 MiB'\n[boot]\nkernel = '{demo}'\n"
            "[spice]\nlisten = '127.0.0.1:0'\nticket = { file = 'ticket' }\n",
            "link",
        )
        self._machine = vm.Vm(starts.program, [str(path)])

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("the VM with a ticket comes up", self.comes_up),
            ("wrong magic", self.wrong_magic),
            ("requests of HTTP", self.http),
            ("wrong versions", self.wrong_version),
            ("link messages of impossible sizes", self.wrong_size),
            ("truncated link messages", self.truncated),
            ("channels that do not exist", self.no_channel),
            ("bad tickets", self.bad_ticket),
            (f"silence, and {CONNECTIONS} half-open connections", self.silence),
            ("the VM runs on and its picture is exact", self.runs_on),
        ]

    def comes_up(self) -> None:
        self.vm = self._machine.__enter__()
        self.serial = self.vm.serial()
        self.serial.wait(r"^demo: ready")

    def answers(self, message: bytes, code: int) -> None:
        """The server answers with a code and closes."""
        with spice.connect(self.vm.port) as client:
            client.sendall(message)
            got = spice.answer(client)
            expect(got == code, f"{message[:40]!r}: the server answers {got}, not {code}")
            expect(spice.closed(client), f"{message[:40]!r}: the server does not close")

    def wrong_magic(self) -> None:
        for magic in (b"REDR", b"\0\0\0\0", b"GET\0", b"get "):
            self.answers(spice.message(magic=magic), spice.INVALID_MAGIC)
        self.answers(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", spice.INVALID_MAGIC)

    def http(self) -> None:
        """A request that is none for WebSocket is answered in its own words, before the connection is closed."""
        for request, status in [(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 426), (b"GET \0\r\n\r\n", 400)]:
            with spice.connect(self.vm.port) as client:
                client.sendall(request)
                # Nothing is as long: it is read to its end.
                answer = spice.receive(client, 1 << 16)
                expect(answer.startswith(f"HTTP/1.1 {status} ".encode()), f"{request!r}: {answer!r}")

    def wrong_version(self) -> None:
        for major in (1, 3, 2**32 - 1):
            self.answers(spice.message(major=major), spice.VERSION_MISMATCH)

    def wrong_size(self) -> None:
        # Too small for its fields, too large for the protocol, impossible.
        for size in (0, 1, 17, 4097, 2**31 - 1, 2**31, 2**32 - 1):
            self.answers(spice.message(size=size), spice.INVALID_DATA)
        for offset in (0, 17, 19, 23, 2**32 - 1):
            self.answers(spice.message(offset=offset), spice.INVALID_DATA)

    def truncated(self) -> str:
        whole = spice.message()
        for length in range(len(whole)):
            with spice.connect(self.vm.port) as client:
                client.sendall(whole[:length])
                client.shutdown(spice.socket.SHUT_WR)
                expect(spice.closed(client), f"after {length} bytes and the end the server does not close")
        return f"{len(whole)} lengths"

    def no_channel(self) -> None:
        for channel in (0, 99, 255):
            self.answers(spice.message(channel=channel), spice.CHANNEL_NOT_AVAILABLE)

    def bad_ticket(self) -> None:
        for ticket in (bytes(spice.TICKET_BYTES), b"\xff" * spice.TICKET_BYTES, os.urandom(spice.TICKET_BYTES)):
            with spice.connect(self.vm.port) as client:
                client.sendall(spice.message())
                expect(spice.answer(client) == spice.OK, "the link message was refused")
                client.sendall(ticket)
                result = spice.receive(client, 4)
                expect(result == spice.PERMISSION_DENIED.to_bytes(4, "little"), f"the link result is {result!r}")
                expect(spice.closed(client), "the server does not close after a bad ticket")
        for ticket in (["--ticket", "wrong"], ["--ticket", PASSWORD + "x"], []):
            (answer,) = self.vm.client("hash", *ticket, check=False)
            expect(not answer["ok"], f"a client with {ticket} got in: {answer}")
        # Half a ticket, and the end.
        with spice.connect(self.vm.port) as client:
            client.sendall(spice.message())
            spice.answer(client)
            client.sendall(bytes(spice.TICKET_BYTES // 2))
            client.shutdown(spice.socket.SHUT_WR)
            expect(spice.closed(client), "the server does not close after half a ticket")

    def silence(self) -> str:
        """Whoever says nothing is shown the door; meanwhile the VM is there for others."""
        began = time.monotonic()
        clients = [spice.connect(self.vm.port) for _ in range(CONNECTIONS)]
        try:
            # Some stop in the middle, where the server waits for more.
            for number, client in enumerate(clients):
                try:
                    client.sendall(spice.message()[: number % 20])
                except OSError:
                    # It was one too many and is closed already.
                    continue
            self.vm.ctl("screenshot", "--hash")
            self.serial.ask("state", r"^state ")
            for number, client in enumerate(clients):
                left = began + LINK_SECONDS - time.monotonic()
                expect(spice.closed(client, max(left, 0)), f"silent client {number} is still connected")
        finally:
            for client in clients:
                client.close()
        return f"all closed within {time.monotonic() - began:.1f} s"

    def runs_on(self) -> str:
        try:
            wanted = scene.expected_hash()
            self.serial.ask("freeze", r"^frozen")
            told = self.serial.ask("hash", r"^hash ([0-9a-f]{16})\r?$")[1]
            canvas = self.vm.ctl("screenshot", "--hash").stdout.strip()
            (seen,) = self.vm.client("wait-hash", wanted, "--ticket", PASSWORD)
            hashes = {told, canvas, seen["hash"]}
            expect(hashes == {wanted}, f"guest {told}, canvas {canvas}, client {seen['hash']}, scene {wanted}")
            self.serial.send("quit")
            code = self.vm.wait()
            expect((code, self.vm.errors()) == (0, ""), f"exit code {code}: {self.vm.errors()}")
        finally:
            self._machine.__exit__(None, None, None)
        return wanted
