"""Clients of spice-gtk that go where the VM goes."""

import time
from pathlib import Path

from harness import vm
from harness.qmp import Qmp
from harness.vm import expect
from harness.watcher import Watcher
from restore.chain import Guest, median

MOVED = 5
INPUTS = 3
KEY = 0x1E


class Clients:
    """One client that stays over all processes of a guest."""

    def __init__(self, program: Path, rounds: int) -> None:
        self.program = program
        self.rounds = rounds
        self.times: list[float] = []

    def run(self) -> str:
        machine = vm.Vm(self.program, []).__enter__()
        target = None
        try:
            machine.serial().wait(r"^demo: ready 1024x768")
            with Watcher("viewer", machine.port, seconds=vm.SECONDS) as viewer:
                viewer.step("mark")
                viewer.step("key", scancode=KEY)
                for number in range(1, self.rounds + 1):
                    target = vm.Vm(self.program, ["--incoming", "tcp:127.0.0.1:0"]).__enter__()
                    self.move(machine, target, viewer)
                    machine, target = target, None
                    viewer.step("key", scancode=KEY)
                    self.check(machine, viewer, number + 1)
            self.parameters(machine)
            machine.ctl("quit")
            expect(machine.wait() == 0, f"exit code after quit: {machine.errors()}")
        finally:
            for left in (machine, target):
                if left is not None:
                    left.__exit__(None, None, None)
        back = f"{median(self.times):.2f} s (at most {max(self.times):.2f})"
        return f"{self.rounds} moves, the client is back {back} after the begin"

    def move(self, machine: vm.Vm, target: vm.Vm, viewer: Watcher) -> None:
        """Moves the VM; the client is told where, and comes by itself."""
        with Qmp(machine.places["control"]) as qmp:
            began = time.monotonic()
            machine.ctl("migrate", target.places["incoming"], "--clients", target.places["screen"])
            qmp.event("SPICE_MIGRATE_COMPLETED")
        expect(machine.wait() == MOVED, f"exit code of the source: {machine.errors()}")
        machine.__exit__(None, None, None)
        with Qmp(target.places["control"]) as qmp:
            limit = time.monotonic() + vm.SECONDS
            while not any(channel["channel-type"] == INPUTS for channel in qmp.execute("query-spice")["channels"]):
                expect(time.monotonic() < limit, f"the client does not come: {viewer.log()}")
                time.sleep(0.005)
            self.times.append(time.monotonic() - began)

    def check(self, machine: vm.Vm, viewer: Watcher, keys: int) -> None:
        """All keys are there once, and the client has the picture to the pixel."""
        guest = Guest(machine)
        guest.wait_keys(keys)
        guest.serial.ask("freeze", r"^frozen")
        told, seen = guest.hash(), guest.shot()
        expect(told == seen, f"the canvas has {seen}, the guest says {told}")
        viewer.step("wait_hash", hash=told, seconds=vm.SECONDS)
        guest.serial.ask("go", r"^going")
        guest.qmp.__exit__()
        guest.serial.close()

    def parameters(self, machine: vm.Vm) -> None:
        """Where clients go has a host and a port."""
        with Qmp(machine.places["control"]) as qmp:
            for arguments, words in [
                ({"hostname": "a"}, "'port', 'tls-port' or both"),
                ({"hostname": "a", "port": 65536}, "'port': 65536"),
                ({"hostname": "", "port": 1}, "'hostname'"),
            ]:
                error = qmp.refused("client_migrate_info", {"protocol": "spice", **arguments})
                expect(words in error["desc"], f"says {error}")
