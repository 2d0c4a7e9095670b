"""QMP as a protocol: greeting, negotiation, ids, errors, clients that misbehave."""

import json
import time
from collections.abc import Callable

from harness import vm
from harness.vm import Failed, expect

from .demo import Demo

MIB = 1 << 20
# The server's own limit.
MOST_CLIENTS = 32
# Each pair of events is above 200 bytes: together far more than may wait for one client.
PAIRS = 12_000


class Protocol:
    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("the greeting, and nothing before capabilities", self.negotiation),
            ("ids of every kind come back", self.ids),
            ("unknown commands and arguments", self.wrong_arguments),
            ("requests that are none", self.malformed),
            ("requests in pieces, several in one, with and without newlines", self.framing),
            ("events reach a client whose command takes long", self.events_meanwhile),
            ("as many clients as there is room for", self.many_clients),
            ("a megabyte of garbage", self.garbage),
            ("a client that does not read its events is cut", self.deaf_to_events),
            ("one that does not read its replies is held up", self.deaf_to_replies),
            ("clients that leave while their command runs", self.leave_early),
        ]

    def negotiation(self) -> None:
        with self.demo.qmp(negotiate=False) as client, self.demo.qmp() as other:
            hello = client.greeting["QMP"]
            number = hello["version"]["qemu"]
            expect(set(client.greeting) == {"QMP"} and set(hello) == {"version", "capabilities"}, f"{client.greeting}")
            expect((number["major"], number["minor"]) == (7, 2) and isinstance(number["micro"], int), f"{number}")
            expect("caraway" in hello["version"]["package"] and hello["capabilities"] == [], f"{hello}")
            for command in ("query-status", "quit", "nonsense"):
                error = client.refused(command)
                expect(error["class"] == "CommandNotFound" and "qmp_capabilities" in error["desc"], f"{error}")
            # Events are for those who have negotiated.
            other.execute("stop")
            other.execute("cont")
            other.event("RESUME")
            error = client.refused("qmp_capabilities", {"enable": ["oob"]})
            expect("oob" in error["desc"], f"{error}")
            error = client.refused("qmp_capabilities", {"enabled": []})
            expect(error["desc"] == "Parameter 'enabled' is unexpected", f"{error}")
            # The very next message is the reply.
            client.send(b'{"execute": "qmp_capabilities", "arguments": {"enable": []}}')
            expect(client.receive() == {"return": {}}, "the reply to qmp_capabilities")
            error = client.refused("qmp_capabilities")
            expect(error["class"] == "CommandNotFound" and "already complete" in error["desc"], f"{error}")
            version = client.execute("query-version")
            expect(version == hello["version"], f"query-version says {version}, the greeting {hello['version']}")

    def ids(self) -> None:
        with self.demo.qmp() as client:
            for value in (1, -5, 1.5, "x", "", None, True, [], [1, [2]], {}, {"a": {"b": None}}, "\u20ac" * 1000):
                client.send(json.dumps({"execute": "query-name", "id": value}).encode())
                reply = client.reply()
                expect("id" in reply and reply["id"] == value and "return" in reply, f"id {value!r}: {reply}")
                client.send(json.dumps({"id": value, "execute": "nonsense"}).encode())
                reply = client.reply()
                expect("id" in reply and reply["id"] == value and "error" in reply, f"id {value!r}: {reply}")
            client.send(b'{"execute": "query-name"}')
            expect("id" not in client.reply(), "a reply has an id nobody gave")

    def wrong_arguments(self) -> str:
        with self.demo.qmp() as client:
            error = client.refused("human-monitor-command")
            wanted = {"class": "CommandNotFound", "desc": "The command human-monitor-command has not been found"}
            expect(error == wanted, f"{error}")
            names = [entry["name"] for entry in client.execute("query-commands")]
            expect(names == sorted(set(names)) and "query-commands" in names, f"query-commands: {names}")
            for name in names:
                if name != "qmp_capabilities":
                    error = client.refused(name, {"x-nonsense": 1})
                    wanted = {"class": "GenericError", "desc": "Parameter 'x-nonsense' is unexpected"}
                    expect(error == wanted, f"{name}: {error}")
            for name, arguments, word in [
                ("screendump", {}, "Parameter 'filename' is missing"),
                ("screendump", {"filename": 5}, "Invalid parameter"),
                ("screendump", {"filename": "a", "format": "bmp"}, "bmp"),
                ("screendump", {"filename": "a", "head": 7}, "head"),
                ("screendump", {"filename": "a", "device": "vga"}, "device"),
                ("screendump", {"filename": "/nonexistent/a.ppm"}, "/nonexistent/a.ppm"),
                ("send-key", {}, "Parameter 'keys' is missing"),
                ("send-key", {"keys": []}, "keys"),
                ("send-key", {"keys": [{"type": "qcode", "data": "any"}]}, "any"),
                ("send-key", {"keys": [{"type": "number", "data": 4096}]}, "4096"),
                ("send-key", {"keys": [{"type": "letter", "data": "a"}]}, "letter"),
                ("send-key", {"keys": [{"type": "qcode", "data": "a"}] * 17}, "17"),
                ("send-key", {"keys": [{"type": "qcode", "data": "a"}], "hold-time": -1}, "-1"),
                ("input-send-event", {"events": [{"type": "abs", "data": {"axis": "x", "value": 1}}]}, "rel"),
                ("input-send-event", {"events": [{"type": "rel", "data": {"axis": "z", "value": 1}}]}, "z"),
                ("input-send-event", {"events": [{"type": "rel", "data": {"axis": "x", "value": 1 << 40}}]}, "large"),
                ("input-send-event", {"events": [{"type": "btn", "data": {"button": "top", "down": True}}]}, "top"),
                ("input-send-event", {"events": [], "device": "pad"}, "pad"),
                ("x-caraway-type", {"text": "\u20ac"}, "\u20ac"),
                ("x-caraway-type", {"text": "a" * 70_000}, "70000"),
                ("x-caraway-wait", {"timeout": 1}, "exactly one"),
                ("x-caraway-wait", {"timeout": 1, "hash": "nonsense"}, "nonsense"),
            ]:
                error = client.refused(name, arguments)
                said = error["desc"]
                right = error["class"] == "GenericError" and word in said
                expect(right, f"{name} {arguments}: {word!r} is not in {error}")
                expect(len(said) < 1000, f"{name}: an error of {len(said)} bytes")
        return f"{len(names)} commands"

    def malformed(self) -> None:
        with self.demo.qmp() as client:
            for line, word in [
                (b"{]", "JSON"),
                (b'{"execute": "stop}', "JSON"),
                (b"\xa5\xa5", "JSON"),
                (b'{"execute": "stop"\xff', "JSON"),
                (b"[]", "object"),
                (b'"query-name"', "object"),
                (b"\xff\xfe\0", "JSON"),
                (b'nonsense {"execute": "stop"}', "JSON"),
                (b"[" * 100_000, "JSON"),
                (b"{}", "'execute'"),
                (b'{"execute": 5}', "'execute'"),
                (b'{"execute": "stop", "arguments": []}', "'arguments'"),
                (b'{"execute": "stop", "args": {}}', "'args'"),
            ]:
                client.send(line)
                error = client.reply()["error"]
                expect(error["class"] == "GenericError" and word in error["desc"], f"{line[:60]!r}: {error}")
            expect(client.execute("query-status")["running"] is True, "a request that is none changed the machine")

    def framing(self) -> None:
        with self.demo.qmp() as client:
            request = b'{"execute": "query-name", "id": "pieces"}\r\n'
            for byte in request:
                client.socket.sendall(bytes([byte]))
            expect(client.reply()["id"] == "pieces", "a request in pieces of one byte")
            # The end of the value is the end of the request, newline or not, as many clients have it.
            client.socket.sendall(b'{"execute": "query-name", "id": 1}')
            expect(client.reply()["id"] == 1, "a request without a newline")
            client.socket.sendall(b'{\n"execute":\r\n"query-name",\n"id": [\n"}{", 2]}{"execute": "query-name"}')
            expect(client.reply()["id"] == ["}{", 2] and "id" not in client.reply(), "newlines inside, none between")
            client.socket.sendall(b"\n  \r\n" + b"".join(b'{"execute":"query-name","id":%d}\n' % n for n in range(500)))
            got = [client.reply()["id"] for _ in range(500)]
            expect(got == list(range(500)), "500 requests in one write")
            # The longest that is taken.
            longest = json.dumps({"execute": "query-name", "id": "x" * (MIB - 100)}).encode()
            client.send(longest)
            expect(len(client.reply()["id"]) == MIB - 100, "the id of a very long request")

    def events_meanwhile(self) -> None:
        with self.demo.qmp() as waiting, self.demo.qmp() as other:
            arguments = {"hash": "0" * 16, "timeout": 3}
            waiting.send(json.dumps({"execute": "x-caraway-wait", "arguments": arguments}).encode())
            other.execute("stop")
            other.execute("cont")
            names = [waiting.receive().get("event") for _ in range(2)]
            expect(names == ["STOP", "RESUME"], f"before the reply came {names}")
            expect("within 3 s" in waiting.reply()["error"]["desc"], "the reply of a wait that fails")

    def many_clients(self) -> str:
        clients = [self.demo.qmp() for _ in range(MOST_CLIENTS)]
        try:
            clients[0].execute("stop")
            clients[-1].execute("cont")
            for client in clients:
                client.event("STOP")
                client.event("RESUME")
            try:
                self.demo.qmp()
            except (Failed, OSError):
                pass
            else:
                raise Failed(f"client {MOST_CLIENTS + 1} was let in")
        finally:
            for client in clients:
                client.socket.close()
        self.comes_back()
        return f"{MOST_CLIENTS} clients"

    def comes_back(self) -> None:
        """The places of clients that have gone are free soon: of all at first, then of those that tried this."""
        for count in (MOST_CLIENTS, 4):
            limit = time.monotonic() + vm.SECONDS
            while not self.fit(count):
                expect(time.monotonic() < limit, f"there is no room for {count} clients: places are still taken")
                time.sleep(0.05)

    def fit(self, count: int) -> bool:
        clients = []
        try:
            for _ in range(count):
                clients.append(self.demo.qmp())
        except (Failed, OSError):
            return False
        finally:
            for client in clients:
                client.socket.close()
        return True

    def garbage(self) -> None:
        with self.demo.qmp() as client, self.demo.qmp() as other:
            # An endless line ends its own connection, at a megabyte and not later.
            sent = 0
            try:
                while sent < 64 * MIB:
                    sent += client.socket.send(b"\xa5" * 65536)
            except OSError:
                pass
            expect(sent < 4 * MIB, f"{sent} bytes of garbage were taken")
            expect(client.ended(), "the connection goes on after a megabyte of garbage")
            expect(other.execute("query-name")["name"] == self.demo.vm.name, "another client suffers")
            other.send(b"\xa5" * (MIB - 10))
            expect("JSON" in other.reply()["error"]["desc"], "a line that just fits")
            other.execute("query-status")

    def deaf_to_events(self) -> str:
        with self.demo.qmp() as deaf, self.demo.qmp() as other:
            line = b'{"execute": "stop"}\n{"execute": "cont"}\n' * 100
            for _ in range(PAIRS // 100):
                other.socket.sendall(line)
                replies = 0
                while replies < 200:
                    replies += "return" in other.reply()
                other.forget()
            expect(deaf.ended(), "it is still connected")
            expect(MIB // 2 < deaf.read < 3 * MIB, f"it was sent {deaf.read} bytes before it was cut")
            expect(other.execute("query-status")["running"] is True, "the machine does not run")
        return f"cut after {deaf.read} bytes"

    def deaf_to_replies(self) -> None:
        """No more requests are taken, and nothing is lost when it reads after all."""
        client = self.demo.qmp()
        client.socket.setblocking(False)
        request = json.dumps({"execute": "query-name", "id": "x" * 60_000}).encode() + b"\n"
        sent = 0
        try:
            while sent < 64 * MIB:
                sent += client.socket.send(request)
        except BlockingIOError:
            pass
        expect(sent < 8 * MIB, f"{sent} bytes of requests were taken")
        self.demo.vm.ctl("status")
        client.socket.setblocking(True)
        # What was asked for in whole is answered to a client that reads after all.
        expect(len(client.reply()["id"]) == 60_000, "the first of the replies")
        client.socket.close()

    def leave_early(self) -> None:
        """A day of waiting must not take a place for a day."""
        for _ in range(MOST_CLIENTS):
            client = self.demo.qmp()
            arguments = {"hash": "0" * 16, "timeout": 86_400}
            client.send(json.dumps({"execute": "x-caraway-wait", "arguments": arguments}).encode())
            client.socket.close()
        self.comes_back()
        # Keys that are held are let go, though nobody waits for it.
        before = self.demo.state()["keys"]
        client = self.demo.qmp()
        arguments = {"keys": [{"type": "qcode", "data": "a"}], "hold-time": 2000}
        client.send(json.dumps({"execute": "send-key", "arguments": arguments}).encode())
        self.demo.wait_state(keys=before + 1)
        client.socket.close()
        with self.demo.qmp() as other:
            other.execute("send-key", {"keys": [{"type": "qcode", "data": "b"}], "hold-time": 1})
        self.demo.wait_state(keys=before + 2)
