"""Moves of the demo VM that fail at random moments: one VM is left, and it goes on."""

import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

from harness import vm
from harness.vm import Failed, expect
from restore.chain import Guest

SEED = 55
MOVED = 5
# Bytes a second, so that there is something to cut: the demo VM's memory takes about a second.
BANDWIDTH = 16 << 20


class Relay:
    """A connection to a destination that is cut when it is told to, or after so many bytes."""

    def __init__(self, port: int, most: int | None = None) -> None:
        self.most = most
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"
        self.target = port
        self.ends: list[socket.socket] = []
        self.passed = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", self.target))
        self.ends = [near, far]
        threading.Thread(target=self.pump, args=(far, near, False), daemon=True).start()
        self.pump(near, far, True)

    def pump(self, from_: socket.socket, to: socket.socket, counted: bool) -> None:
        try:
            while data := from_.recv(65536):
                if counted and self.most is not None and self.passed + len(data) >= self.most:
                    to.sendall(data[: self.most - self.passed])
                    self.cut()
                    return
                if counted:
                    self.passed += len(data)
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()

    def cut(self) -> None:
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self.cut()
        self.listener.close()
        for end in self.ends:
            end.close()


class Faults:
    """One guest whose moves fail; a new one is booted when it is lost together with its process."""

    def __init__(self, program: Path, rounds: int) -> None:
        self.program = program
        self.rounds = rounds
        self.chance = random.Random(SEED)
        self.source: vm.Vm | None = None
        self.target: vm.Vm | None = None
        self.tally: Counter[str] = Counter()
        self.descriptors = 0
        # How long a whole move takes, and how many bytes it has.
        self.seconds = 1.0
        self.bytes = 1 << 20

    def boot(self) -> None:
        self.source = vm.Vm(self.program, []).__enter__()
        serial = self.source.serial()
        serial.wait(r"^demo: ready 1024x768")
        serial.close()
        self.settle()

    def settle(self) -> None:
        """Takes the descriptors of a source that nobody talks to for those it has to have."""
        self.descriptors = self.rest(lambda count: False, 0.5)

    def rest(self, enough, seconds: float) -> int:
        """How many descriptors the source has open, once that is enough or the time is up."""
        limit = time.monotonic() + seconds
        while True:
            count = len(os.listdir(f"/proc/{self.source.process.pid}/fd"))
            if enough(count) or time.monotonic() > limit:
                return count
            time.sleep(0.01)

    def expect_target(self) -> int:
        self.target = vm.Vm(self.program, ["--incoming", "tcp:127.0.0.1:0"]).__enter__()
        return int(self.target.places["incoming"].rpartition(":")[2])

    def close(self) -> None:
        for machine in (self.source, self.target):
            if machine is not None:
                machine.__exit__(None, None, None)
        self.source = self.target = None

    def alive(self, machine: vm.Vm) -> None:
        """The VM is there, goes on and draws the right picture."""
        status = machine.ctl("status").stdout.strip()
        if status == "postmigrate":
            machine.ctl("resume")
            status = machine.ctl("status").stdout.strip()
        expect(status == "running", f"its status is {status}")
        guest = Guest(machine)
        guest.serial.ask("go", r"^going")
        guest.serial.ask("freeze", r"^frozen")
        told, seen = guest.hash(), guest.shot()
        expect(told == seen, f"the canvas has {seen}, the guest says {told}")
        guest.serial.ask("go", r"^going")
        guest.qmp.__exit__()
        guest.serial.close()

    def has_arrived(self) -> bool:
        """Whether the destination has the VM; else it must end by itself, with 1."""
        limit = time.monotonic() + vm.SECONDS
        while self.target.process.poll() is None:
            # It answers when it has the VM.
            if self.target.ctl("status", check=False).stdout == "running\n":
                return True
            expect(time.monotonic() < limit, "the destination neither has the VM nor ends")
        code = self.target.process.returncode
        expect(code == 1, f"exit code {code} of the destination: {self.target.errors()}")
        expect("no machine has come: " in self.target.errors(), f"it says {self.target.errors()!r}")
        return False

    def swap(self) -> None:
        """The destination is the next source."""
        self.source.__exit__(None, None, None)
        self.source, self.target = self.target, None
        self.settle()

    def drop_target(self) -> None:
        self.target.__exit__(None, None, None)
        self.target = None

    def whole(self) -> None:
        """A move without a fault, to know how long one takes."""
        relay = Relay(self.expect_target())
        began = time.monotonic()
        self.source.ctl("migrate", relay.uri, "--bandwidth", str(BANDWIDTH))
        self.seconds, self.bytes = time.monotonic() - began, relay.passed
        expect(self.source.wait() == MOVED, "exit code of the source")
        relay.close()
        self.alive(self.target)
        self.swap()

    def begin(self, uri: str) -> None:
        self.source.ctl("migrate", uri, "--bandwidth", str(BANDWIDTH), "--detach")

    def settled(self) -> str:
        """How the move ended at the source, which may have gone with it."""
        limit = time.monotonic() + vm.SECONDS
        while self.source.process.poll() is None:
            said = self.source.ctl("status", check=False).stdout.strip()
            reply = self.source.ctl("qmp", "query-migrate", check=False).stdout
            for word in ("cancelled", "failed"):
                if f'"{word}"' in reply:
                    return "postmigrate" if said == "postmigrate" else word
            expect(time.monotonic() < limit, f"the move does not end: {reply}")
        code = self.source.process.returncode
        expect(code == MOVED, f"exit code {code} of the source: {self.source.errors()}")
        return "moved"

    def cut(self) -> None:
        """The connection is cut behind a random byte."""
        relay = Relay(self.expect_target(), self.chance.randrange(self.bytes + 1000))
        self.begin(relay.uri)
        ended, arrived = self.settled(), self.has_arrived()
        relay.close()
        self.one(f"cut: {ended}", ended, arrived)

    def cancel(self) -> None:
        """It is cancelled at a random moment."""
        port = self.expect_target()
        self.begin(f"tcp:127.0.0.1:{port}")
        time.sleep(self.chance.uniform(0, self.seconds))
        self.source.ctl("migrate-cancel", check=False)
        ended, arrived = self.settled(), self.has_arrived()
        self.one(f"cancel: {ended}", ended, arrived)

    def kill_target(self) -> None:
        """The destination is killed at a random moment."""
        port = self.expect_target()
        self.begin(f"tcp:127.0.0.1:{port}")
        time.sleep(self.chance.uniform(0, self.seconds * 1.1))
        self.target.send_signal(signal.SIGKILL)
        self.target.wait()
        ended = self.settled()
        self.tally[f"destination killed: {ended}"] += 1
        self.drop_target()
        if ended == "moved":
            # What was killed was the VM.
            self.close()
            self.boot()
        else:
            self.stays()

    def kill_source(self) -> None:
        """The source is killed at a random moment."""
        port = self.expect_target()
        self.begin(f"tcp:127.0.0.1:{port}")
        time.sleep(self.chance.uniform(0, self.seconds * 1.1))
        self.source.send_signal(signal.SIGKILL)
        self.source.wait()
        arrived = self.has_arrived()
        self.tally[f"source killed: {'moved before' if arrived else 'the VM with it'}"] += 1
        if arrived:
            self.alive(self.target)
            self.swap()
        else:
            self.close()
            self.boot()

    def one(self, what: str, ended: str, arrived: bool) -> None:
        """Exactly one of the two has the VM."""
        self.tally[what] += 1
        if ended == "moved":
            expect(arrived, "the source has given the VM away, and the destination has none")
        elif ended != "postmigrate":
            expect(not arrived, f"the source says {ended}, and the destination runs the VM, too")
        if arrived:
            self.alive(self.target)
            self.swap()
        else:
            self.drop_target()
            self.stays()

    def stays(self) -> None:
        """The source goes on as it was, with nothing left of the move."""
        self.alive(self.source)
        count = self.rest(lambda count: count <= self.descriptors, 5)
        expect(count <= self.descriptors, f"{count} descriptors are open, {self.descriptors} were")

    def run(self) -> str:
        faults = [self.cut, self.cut, self.cancel, self.kill_target, self.kill_source]
        try:
            self.boot()
            self.whole()
            for number in range(1, self.rounds + 1):
                fault = faults[number % len(faults)]
                try:
                    fault()
                except Failed as failure:
                    raise Failed(f"round {number}, {fault.__name__}: {failure}") from failure
        finally:
            self.close()
        return ", ".join(f"{what} {count}" for what, count in sorted(self.tally.items()))
