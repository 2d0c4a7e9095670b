"""Moves that must not begin, or be refused: what is wrong is named on both sides, and the VM goes on."""

import os
import socket
from pathlib import Path

from harness import vm
from harness.qmp import Qmp
from harness.vm import expect
from restore.refusals import CONFIG


class Refusals:
    """A running demo VM that stays."""

    def __init__(self, program: Path, folder: Path, kernel: Path) -> None:
        self.program = program
        self.folder = folder
        self.kernel = kernel

    def refused(self, machine: vm.Vm, words: str, *arguments: str) -> None:
        """`ctl migrate` fails with one line that has these words, and the VM goes on."""
        done = machine.ctl("migrate", *arguments, check=False)
        lines = done.stderr.splitlines()
        expect(done.returncode in (1, 2) and len(lines) == 1, f"exit code {done.returncode}: {done.stderr}")
        expect(words in lines[0], f"wanted {words!r}: {done.stderr}")
        expect(machine.ctl("status").stdout == "running\n", "the VM does not run any more")

    def nowhere(self) -> None:
        """URIs that cannot be, destinations that are not there, and parameters out of their limits."""
        with vm.Vm(self.program, []) as machine:
            machine.serial().wait(r"^demo: ready 1024x768")
            closed = socket.create_server(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            closed.close()
            for uri, words in [
                (f"tcp:127.0.0.1:{port}", "Connection refused"),
                (f"unix:{self.folder}/gone.sock", "No such file"),
                ("fd:0", "connect to fd:0"),
            ]:
                self.refused(machine, words, uri)
            for arguments in (["exec:cat"], ["demo"], ["tcp:127.0.0.1"]):
                done = machine.ctl("migrate", *arguments, check=False)
                expect(done.returncode == 2 and arguments[0] in done.stderr, f"{arguments}: {done.stderr}")
            self.refused(machine, "'max-bandwidth': 1 is", f"tcp:127.0.0.1:{port}", "--bandwidth", "1")
            self.refused(machine, "'downtime-limit': 2000001 is", f"tcp:127.0.0.1:{port}", "--downtime", "2000001")
            with Qmp(machine.places["control"]) as qmp:
                error = qmp.refused("migrate", {"uri": "exec:cat"})
                expect("'uri'" in error["desc"] and "exec" in error["desc"], f"says {error}")
                error = qmp.refused("migrate", {"uri": "tcp:a:1", "blk": True})
                expect("'blk' is unexpected" in error["desc"], f"says {error}")
                reply = qmp.execute("query-migrate")
                expect(reply["status"] == "failed" and "fd:0" in reply["error-desc"], f"is {reply}")
                expect(qmp.execute("migrate_cancel") == {}, "nothing to cancel is no error")

    def other_machines(self) -> None:
        """A destination of another machine names the first difference, and so does the source."""
        path = self.folder / "other.toml"
        usual = {"memory": "64 MiB", "cpus": 1, "kernel": self.kernel, "heads": 4}
        with vm.Vm(self.program, []) as machine:
            machine.serial().wait(r"^demo: ready 1024x768")
            for changed, words in [
                ({"cpus": 2}, "cpus: the machine that comes has 1, this one 2"),
                ({"memory": "32 MiB"}, "memory: the machine that comes has 67108864 bytes, this one 33554432 bytes"),
                ({"heads": 1}, "display 0: the machine that comes has 4 heads"),
            ]:
                path.write_text(CONFIG.format(**usual | changed), encoding="utf-8")
                with vm.Vm(self.program, [str(path), "--incoming", "tcp:127.0.0.1:0"]) as target:
                    self.refused(machine, f"the destination says: {words}", target.places["incoming"])
                    expect(target.wait() == 2, f"exit code of the destination: {target.errors()}")
                    expect(words in target.errors(), f"the destination says {target.errors()!r}")

    def strangers(self) -> None:
        """A destination that is told nonsense, or nothing more, or to end, ends; one that answers so gets nothing."""
        for words, said in [("magic = GET / HT", b"GET / HTTP/1.1\r\n\r\n"), ("closed the connection", b"CARAWAYM")]:
            with vm.Vm(self.program, ["--incoming", "tcp:127.0.0.1:0"]) as target:
                port = int(target.places["incoming"].rpartition(":")[2])
                with socket.create_connection(("127.0.0.1", port)) as stranger:
                    stranger.sendall(said)
                    stranger.shutdown(socket.SHUT_WR)
                    expect(target.wait() == 1, f"exit code of the destination: {target.errors()}")
                expect(words in target.errors(), f"wanted {words!r}: {target.errors()}")
        with vm.Vm(self.program, ["--incoming", "tcp:127.0.0.1:0"]) as target:
            expect(target.ctl("status").stdout == "inmigrate\n", "it does not wait")
            reset = target.ctl("reset", check=False)
            expect(reset.returncode == 1 and "no VM has come yet" in reset.stderr, f"says {reset.stderr}")
            target.ctl("quit")
            expect(target.wait() == 1, f"exit code of the destination: {target.errors()}")
        with vm.Vm(self.program, ["--incoming", f"unix:{self.folder}/in.sock"]) as target:
            expect(oct(os.stat(self.folder / "in.sock").st_mode & 0o777) == "0o600", "others may connect")
            target.process.terminate()
            expect(target.wait() == 1, f"exit code of the destination: {target.errors()}")
            expect(not (self.folder / "in.sock").exists(), "the socket's file is left")
        with vm.Vm(self.program, []) as machine, socket.create_server(("127.0.0.1", 0)) as server:
            machine.serial().wait(r"^demo: ready 1024x768")
            with Qmp(machine.places["control"]) as qmp:
                qmp.execute("migrate", {"uri": f"tcp:127.0.0.1:{server.getsockname()[1]}"})
                stranger, _ = server.accept()
                error = qmp.refused("migrate", {"uri": "tcp:127.0.0.1:1"})
                expect("in progress" in error["desc"], f"says {error}")
                stranger.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")
                while qmp.event("MIGRATION")["data"]["status"] != "failed":
                    pass
                reply = qmp.execute("query-migrate")
                expect("magic = SSH-2.0-" in reply["error-desc"], f"is {reply}")
                stranger.close()

    def paused(self) -> None:
        """A paused VM stays paused where it goes, and goes on there."""
        with vm.Vm(self.program, []) as machine, vm.Vm(self.program, ["--incoming", "tcp:127.0.0.1:0"]) as target:
            machine.serial().wait(r"^demo: ready 1024x768")
            machine.ctl("pause")
            machine.ctl("migrate", target.places["incoming"])
            expect(machine.wait() == 5, f"exit code of the source: {machine.errors()}")
            expect(target.ctl("status").stdout == "prelaunch\n", "it does not wait")
            target.ctl("resume")
            target.serial().ask("freeze", r"^frozen")
            target.ctl("quit")

    def writable_disk(self) -> None:
        """Disks that are written to keep a VM where it is; read-only ones do not."""
        disk = self.folder / "disk.raw"
        disk.write_bytes(bytes(1 << 20))
        path = self.folder / "disk.toml"
        text = f'[boot]\nkernel = "{self.kernel}"\n[[disk]]\npath = "{disk}"\nreadonly = '
        path.write_text(text + "false\n", encoding="utf-8")
        with vm.Vm(self.program, [str(path)]) as machine:
            machine.serial().wait(r"^demo: ready 1024x768")
            self.refused(machine, "disk 0 is writable", "tcp:127.0.0.1:1")
        path.write_text(text + "true\n", encoding="utf-8")
        with (
            vm.Vm(self.program, [str(path)]) as machine,
            vm.Vm(self.program, [str(path), "--incoming", "tcp:127.0.0.1:0"]) as target,
        ):
            machine.serial().wait(r"^demo: ready 1024x768")
            machine.ctl("migrate", target.places["incoming"])
            target.serial().ask("freeze", r"^frozen")
            target.ctl("quit")
