"""Snapshots that must not be written or restored: one line, the file's name in it, exit code 2 (1 for `ctl`)."""

import os
import shutil
from pathlib import Path

from harness import vm
from harness.vm import expect

CONFIG = 'memory = "{memory}"\ncpus = {cpus}\n[boot]\nkernel = "{kernel}"\n[display]\nheads = {heads}\n'


class Refusals:
    """A saved demo VM, and all that can be wrong with it."""

    def __init__(self, program: Path, folder: Path, kernel: Path) -> None:
        self.program = program
        self.folder = folder
        self.kernel = kernel
        self.saved = folder / "saved"

    def save(self) -> None:
        """An existing directory is left alone; a second snapshot beside it works."""
        with vm.Vm(self.program, []) as machine:
            machine.serial().wait(r"^demo: ready 1024x768")
            # Relative names are those of the person at `ctl`.
            machine.ctl("snapshot", "saved", folder=self.folder)
            before = sorted(os.listdir(self.saved))
            again = machine.ctl("snapshot", str(self.saved), check=False)
            expect(again.returncode == 1 and f"{self.saved}: exists already" in again.stderr, f"says {again.stderr}")
            gone = machine.ctl("snapshot", str(self.folder / "no" / "saved"), check=False)
            expect(gone.returncode == 1 and "No such file" in gone.stderr, f"says {gone.stderr}")
            expect(sorted(os.listdir(self.saved)) == before, "the snapshot changed")
            expect(os.listdir(self.folder) == ["saved"], f"left behind: {os.listdir(self.folder)}")
            expect(machine.ctl("status").stdout == "running\n", "the VM does not run any more")
            machine.ctl("pause")
            machine.ctl("snapshot", str(self.folder / "paused"))
            expect(machine.ctl("status").stdout == "paused\n", "the VM is not paused any more")
            machine.ctl("quit")

    def refused(self, directory: Path, words: str, *arguments: str) -> None:
        ended = vm.run_to_end(self.program, ["run", *arguments, "--incoming", f"file:{directory}"])
        expect(ended.code == 2, f"exit code {ended.code}: {ended.err}")
        lines = ended.err.splitlines()
        expect(len(lines) == 1 and words in lines[0], f"wanted {words!r}: {ended.err}")
        expect(str(directory) in lines[0], f"the file is not named: {ended.err}")
        expect(not ended.left, f"left in the run directory: {ended.left}")

    def other_machines(self) -> None:
        """A configuration of another machine is refused by its first difference, one of the same machine is taken."""
        path = self.folder / "other.toml"
        usual = {"memory": "64 MiB", "cpus": 1, "kernel": self.kernel, "heads": 4}
        for changed, words in [
            ({"cpus": 2}, "cpus: the saved machine has 1, this one 2"),
            ({"memory": "128 MiB"}, "memory: the saved machine has 67108864 bytes, this one 134217728 bytes"),
            ({"heads": 1}, "display 0: the saved machine has 4 heads"),
        ]:
            path.write_text(CONFIG.format(**usual | changed), encoding="utf-8")
            self.refused(self.saved, words, str(path))
        disk = self.folder / "disk.raw"
        disk.write_bytes(bytes(1 << 20))
        path.write_text(CONFIG.format(**usual) + f'[[disk]]\npath = "{disk}"\n', encoding="utf-8")
        self.refused(self.saved, "disk 0: the saved machine has none, this one 1048576 bytes, writable", str(path))
        path.write_text(CONFIG.format(**usual), encoding="utf-8")
        with vm.Vm(self.program, [str(path), "--incoming", f"file:{self.saved}"]) as machine:
            expect(machine.name == "other", f"its name is {machine.name}")
            machine.serial().ask("freeze", r"^frozen")
            machine.ctl("quit")

    def damaged(self) -> None:
        """A flipped bit, a shorter file and a missing one are noticed in every file."""
        for name in sorted(os.listdir(self.saved)):
            for damage, words in [(flip, " = "), (shorten, " = "), (os.remove, "cannot open: No such file")]:
                copy = self.folder / "copy"
                shutil.copytree(self.saved, copy)
                damage(copy / name)
                self.refused(copy, words)
                shutil.rmtree(copy)

    def nothing_there(self) -> None:
        """Missing directories and other schemes."""
        self.refused(self.folder / "gone", "cannot open: No such file")
        for uri, words in [("exec:cat", '"exec" is not known here'), ("saved", "did you mean file:saved")]:
            ended = vm.run_to_end(self.program, ["run", "--incoming", uri])
            expect(ended.code == 2 and words in ended.err, f"{uri}: exit code {ended.code}: {ended.err}")

    def paused(self) -> None:
        """With --paused it waits for `resume`."""
        saved = self.folder / "paused"
        with vm.Vm(self.program, ["--paused", "--incoming", f"file:{saved}"]) as machine:
            expect(machine.ctl("status").stdout == "prelaunch\n", "it does not wait")
            machine.ctl("resume")
            machine.serial().ask("freeze", r"^frozen")
            machine.ctl("quit")


def flip(path: Path) -> None:
    with open(path, "r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))


def shorten(path: Path) -> None:
    os.truncate(path, os.path.getsize(path) // 4096 * 4096 - 4096)
