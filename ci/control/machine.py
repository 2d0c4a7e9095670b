"""What QMP does to the machine, and the events that tell of it."""

import json
import os
import subprocess
from collections.abc import Callable

from harness import kernel, scene, vm
from harness.qmp import Qmp
from harness.vm import CLIENT, expect
from spice import picture

from .demo import LEFT, MIDDLE, RIGHT, Demo

# Longer than any pause the moving demo makes.
STILL_MS = 400
# SPICE channel types of a client: main, display, inputs, cursor.
CHANNELS = {1, 2, 3, 4}


class Machine:
    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("what it says of itself", self.queries),
            ("stop and cont", self.stop_and_cont),
            ("system_reset brings the same picture", self.reset),
            ("a reset of a stopped machine leaves it stopped", self.reset_stopped),
            ("screendump as PPM and PNG is exact", self.screendump),
            ("send-key", self.send_key),
            ("input-send-event", self.send_events),
            ("query-spice and SPICE_* events", self.spice),
            ("system_powerdown", self.powerdown),
            ("quit", self.quit),
            ("a guest that panics", self.panic),
        ]

    def queries(self) -> None:
        with self.demo.qmp() as client:
            expect(client.execute("query-name") == {"name": self.demo.vm.name}, "query-name")
            expect(client.execute("query-kvm") == {"enabled": True, "present": True}, "query-kvm")
            running = {"running": True, "singlestep": False, "status": "running"}
            expect(client.execute("query-status") == running, f"query-status: {client.execute('query-status')}")

    def stop_and_cont(self) -> None:
        with self.demo.qmp() as client, self.demo.qmp() as other:
            still = {"still": STILL_MS, "timeout": 2}
            expect("2 s" in client.refused("x-caraway-wait", still)["desc"], "the demo does not move")
            # What a command brings about is told before its reply, and to everybody.
            client.send(b'{"execute": "stop"}')
            expect(client.receive().get("event") == "STOP" and client.receive() == {"return": {}}, "stop")
            other.event("STOP")
            stopped = {"running": False, "singlestep": False, "status": "paused"}
            expect(other.execute("query-status") == stopped, f"{other.execute('query-status')}")
            client.execute("x-caraway-wait", still)
            # Asked while it is stopped, answered when it runs again.
            start = len(self.demo.serial.text)
            self.demo.serial.send("state")
            client.execute("x-caraway-wait", still)
            expect("state" not in self.demo.serial.text[start:], "a stopped guest answers")
            # Once more changes nothing and tells nobody.
            client.execute("stop")
            client.send(b'{"execute": "cont"}')
            expect(client.receive().get("event") == "RESUME" and client.receive() == {"return": {}}, "cont")
            other.event("RESUME")
            self.demo.serial.wait(r"^state keys=", start=start)
            client.send(b'{"execute": "cont"}')
            expect(client.receive() == {"return": {}}, "cont of a running machine")
            expect(client.execute("query-status")["status"] == "running", "it does not run")

    def comes_up_again(self, start: int) -> None:
        self.demo.serial.wait(r"^demo: ready", start=start)
        wanted = scene.expected_hash()
        guest, canvas = self.demo.frozen_hash(), self.demo.hash()
        expect(guest == canvas == wanted, f"guest {guest}, canvas {canvas}, scene {wanted}")

    def reset(self) -> str:
        with self.demo.qmp() as client, self.demo.qmp() as other:
            # Dirty before: typed into and moved.
            client.execute("x-caraway-type", {"text": "something else on the screen"})
            for command, told in [
                (None, {"guest": True, "reason": "guest-reset"}),
                ("system_reset", {"guest": False, "reason": "host-qmp-system-reset"}),
            ]:
                start = len(self.demo.serial.text)
                if command:
                    client.execute(command)
                else:
                    self.demo.serial.send("reset")
                event = other.event("RESET")
                expect(event["data"] == told, f"{command}: {event}")
                client.event("RESET")
                self.comes_up_again(start)
                expect(client.execute("query-status")["status"] == "running", "it does not run after the reset")
        self.demo.go()
        return scene.expected_hash()

    def reset_stopped(self) -> None:
        with self.demo.qmp() as client:
            client.execute("stop")
            start = len(self.demo.serial.text)
            client.execute("system_reset")
            client.event("RESET")
            expect(client.execute("query-status")["status"] == "paused", "a reset started a stopped machine")
            client.execute("x-caraway-wait", {"still": STILL_MS, "timeout": 10})
            expect(self.demo.serial.text[start:] == "", "a stopped machine prints after a reset")
            client.execute("cont")
            self.comes_up_again(start)
        self.demo.go()

    def screendump(self) -> str:
        wanted = self.demo.frozen_hash()
        with self.demo.qmp() as client:
            for name, arguments in {
                "default.ppm": {},
                "named.ppm": {"format": "ppm"},
                "named.png": {"format": "png"},
                "head.png": {"format": "png", "head": 0},
            }.items():
                path = self.demo.folder / name
                # Relative names start where the VM was started.
                relative = os.path.relpath(path)
                client.execute("screendump", {"filename": relative, **arguments})
                seen = picture.load(path)
                expect(seen.checksum() == wanted, f"{name}: {seen.checksum()}, the guest says {wanted}")
                start = b"P6\n1024 768\n255\n" if name.endswith("ppm") else b"\x89PNG\r\n\x1a\n"
                expect(path.read_bytes().startswith(start), f"{name} starts with {path.read_bytes()[:20]!r}")
            shot = client.execute("x-caraway-shot", {"hash_only": True})
            expect(shot == {"width": 1024, "height": 768, "hash": wanted}, f"x-caraway-shot: {shot}")
        self.demo.go()
        return wanted

    def send_key(self) -> None:
        count = self.demo.state()["keys"]

        def press(*keys: dict, hold: int | None = None) -> None:
            nonlocal count
            arguments = {"keys": list(keys)} | ({} if hold is None else {"hold-time": hold})
            client.execute("send-key", arguments)
            count += len(keys)
            self.demo.wait_state(keys=count)

        def code(name: str) -> dict:
            return {"type": "qcode", "data": name}

        with self.demo.qmp() as client:
            press(code("a"))
            press(code("ctrl"), code("alt"), code("delete"), hold=1)
            press(code("shift"), code("ret"), hold=0)
            press({"type": "number", "data": 0x1E}, hold=1)
            press({"type": "number", "data": 0xC8}, hold=1)
            press(*[code(name) for name in "abcdefghijklmnop"], hold=1)
            # A bad key among good ones: none is pressed.
            client.refused("send-key", {"keys": [code("a"), code("nonsense")]})
            press(code("b"), hold=1)

    def send_events(self) -> None:
        before = self.demo.state()
        count, x, y, wheel = before["keys"], before["x"], before["y"], before["wheel"]

        def send(*events: tuple[str, dict]) -> None:
            client.execute("input-send-event", {"events": [{"type": kind, "data": data} for kind, data in events]})

        def key(name: str, down: bool) -> tuple[str, dict]:
            return "key", {"key": {"type": "qcode", "data": name}, "down": down}

        def button(name: str, down: bool) -> tuple[str, dict]:
            return "btn", {"button": name, "down": down}

        def step(axis: str, value: int) -> tuple[str, dict]:
            return "rel", {"axis": axis, "value": value}

        with self.demo.qmp() as client:
            send(key("x", True))
            self.demo.wait_state(keys=count + 1)
            send(key("x", False), key("y", True), key("y", False))
            self.demo.wait_state(keys=count + 2)
            send(step("x", 7), step("y", -5))
            self.demo.wait_state(x=x + 7, y=y - 5)
            # More than one report of a PS/2 mouse holds.
            send(step("x", -300), step("y", 200))
            self.demo.wait_state(x=x - 293, y=y + 195)
            for name, bit in [("left", LEFT), ("right", RIGHT), ("middle", MIDDLE)]:
                send(button(name, True))
                self.demo.wait_state(buttons=bit)
                send(button(name, False))
                self.demo.wait_state(buttons=0)
            send(button("wheel-up", True), button("wheel-up", False))
            self.demo.wait_state(wheel=wheel - 1)
            send(button("wheel-down", True), button("wheel-down", False), button("wheel-down", True))
            self.demo.wait_state(wheel=wheel + 1)
            # All of it or nothing.
            data = {"axis": "x", "value": 5}
            wrong = [{"type": "rel", "data": data}, {"type": "abs", "data": data}]
            client.refused("input-send-event", {"events": wrong})
            send(step("x", 1))
            self.demo.wait_state(x=x - 292, keys=count + 2)

    def spice(self) -> str:
        port = self.demo.vm.port
        with self.demo.qmp() as client:
            info = client.execute("query-spice")
            wanted = {"enabled": True, "migrated": False, "host": "127.0.0.1", "port": int(port), "auth": "none"}
            expect({key: info.get(key) for key in wanted} == wanted, f"query-spice: {info}")
            expect(info["mouse-mode"] == "server" and info["channels"] == [], f"query-spice: {info}")
            viewer = subprocess.Popen(
                [str(CLIENT), "drive", "--port", port, "--script", "-"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                self.ask(viewer, {"do": "flush"})
                told = self.initialized(client, port)
                channels = client.execute("query-spice")["channels"]
                expect(channels == sorted(channels, key=lambda c: c["channel-type"]), f"query-spice: {channels}")
                told.sort(key=lambda channel: channel["channel-type"])
                expect(channels == told, f"query-spice says {channels}, the events said {told}")
                expect(len({channel["connection-id"] for channel in channels}) == 1, f"one session: {channels}")
                viewer.stdin.close()
                expect(viewer.wait(vm.SECONDS) == 0, "the SPICE client failed")
                for _ in CHANNELS:
                    event = client.event("SPICE_DISCONNECTED")
                    expect(set(event["data"]) == {"server", "client"}, f"{event}")
                    expect(event["data"]["server"]["port"] == port, f"{event}")
                expect(client.execute("query-spice")["channels"] == [], "channels of a client that has gone")
            finally:
                viewer.kill()
                viewer.wait()
                viewer.stdout.close()
        return ", ".join(f"{channel['channel-type']}:{channel['channel-id']}" for channel in channels)

    @staticmethod
    def ask(viewer: subprocess.Popen, step: dict) -> None:
        viewer.stdin.write(json.dumps(step) + "\n")
        viewer.stdin.flush()
        answer = json.loads(viewer.stdout.readline())
        expect(answer["ok"], f"the SPICE client says {answer}")

    @staticmethod
    def initialized(client: Qmp, port: str) -> list[dict]:
        """The channels as the events tell of them, each connected first."""
        connected, initialized = set(), []
        server = {"host": "127.0.0.1", "port": port, "family": "ipv4"}
        while {channel["channel-type"] for channel in initialized} != CHANNELS:
            message = client.any_event()
            name, data = message["event"], message["data"]
            peer = data["client"]
            if name == "SPICE_CONNECTED":
                expect(data["server"] == server, f"{message}")
                expect(set(peer) == {"host", "port", "family"} and isinstance(peer["port"], str), f"{message}")
                connected.add(peer["port"])
            elif name == "SPICE_INITIALIZED":
                expect(data["server"] == {**server, "auth": "none"}, f"{message}")
                expect(peer["port"] in connected and peer["tls"] is False, f"{message}")
                initialized.append(peer)
        return initialized

    def another(self) -> vm.Vm:
        return vm.Vm(self.demo.vm.program, [])

    def powerdown(self) -> None:
        with self.another() as machine, Qmp(machine.places["control"]) as client:
            serial = machine.serial()
            serial.wait(r"^demo: ready")
            client.execute("system_powerdown")
            client.event("POWERDOWN")
            serial.wait(r"^demo: power button")
            event = client.event("SHUTDOWN")
            expect(event["data"] == {"guest": True, "reason": "guest-shutdown"}, f"{event}")
            expect(client.ended(), "the connection stays")
            expect((machine.wait(), machine.errors()) == (0, ""), f"{machine.wait()}: {machine.errors()}")

    def quit(self) -> None:
        with self.another() as machine, Qmp(machine.places["control"]) as client:
            with Qmp(machine.places["control"]) as other, Qmp(machine.places["control"]) as waiting:
                arguments = {"hash": "0" * 16, "timeout": 86_400}
                waiting.send(json.dumps({"execute": "x-caraway-wait", "arguments": arguments}).encode())
                client.execute("quit")
                event = other.event("SHUTDOWN")
                expect(event["data"] == {"guest": False, "reason": "host-qmp-quit"}, f"{event}")
                waiting.event("SHUTDOWN")
                for each in (client, other, waiting):
                    expect(each.ended(), "a connection stays")
            expect((machine.wait(10), machine.errors()) == (0, ""), f"{machine.wait()}: {machine.errors()}")

    def panic(self) -> None:
        address, data, device = 0xCF8, 0xCFC, 1 << 31 | 0x1E << 11
        guest = self.demo.folder / "panic.elf"
        guest.write_bytes(
            kernel.elf(
                kernel.out32(address, device | 4) + kernel.out16(data, 2)
                + kernel.out32(address, device | 0x10) + kernel.in32(data)
                + b"\x24\xf0\xc6\x00\x01"  # and al, 0xf0; mov byte [eax], 1
            )
        )  # fmt: skip
        config = self.demo.folder / "panic.toml"
        config.write_text(f"memory = '16 MiB'\n[boot]\nkernel = '{guest}'\n[spice]\nlisten = '127.0.0.1:0'\n")
        with vm.Vm(self.demo.vm.program, [str(config), "--paused"]) as machine:
            with Qmp(machine.places["control"]) as client:
                expect(client.execute("query-status")["status"] == "prelaunch", "the guest was not held")
                client.execute("cont")
                event = client.event("GUEST_PANICKED")
                expect(event["data"] == {"action": "poweroff"}, f"{event}")
                event = client.event("SHUTDOWN")
                expect(event["data"] == {"guest": True, "reason": "guest-panic"}, f"{event}")
                expect(client.ended(), "the connection stays")
            expect(machine.wait() == 3, f"exit code {machine.wait()}")
