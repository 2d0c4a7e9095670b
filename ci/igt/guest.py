"""A guest with a display driver that runs IGT's test programs, started again when one has spoiled it."""

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

from debian import rootfs
from harness import nested
from harness.vm import Failed, expect

from .output import CRASH, FAIL, TIMEOUT, Reader, Result
from .programs import LIMIT, PROGRAMS, SILENCE

LIBRARY = "libigt.so.0"
READY = r"^caraway-guest: ready$"
DRIVER_SAID = r"^caraway-guest: (driver .*|cannot load .*|no test programs)\n"
POLL_SECONDS = 0.2
# To be killed, a hundred times what it takes.
KILL_SECONDS = 60.0
# All programs with one driver, on a machine that does other things too.
GUEST_SECONDS = 6 * 3600
# The nested host itself may fail; for the program that ran then the guest is started so often.
MOST_LOSSES = 3
# Of a program: after so many subtests that hang, the rest of it is not worth the time.
MOST_HANGS = 8
# The name of subtests that there is no result of.
REST = "the rest"
# Room for the inodes that every such disk has.
SPARE_MIB = 16


def programs_disk(tests: Path, image: Path) -> None:
    """A disk with the programs of the list that are anywhere in the folder `tests`, and their library."""
    folder = image.with_suffix(".d")
    folder.mkdir()
    for name in (LIBRARY, *PROGRAMS):
        found = [path for path in sorted(tests.rglob(name)) if path.is_file()]
        expect(found or name != LIBRARY, f"no {LIBRARY} in {tests}")
        if found:
            # Without what a debugger would read, which is most of it.
            subprocess.run(["strip", "-o", str(folder / name), str(found[0])], check=True)
    rootfs.make_ext4(folder, image, SPARE_MIB)
    shutil.rmtree(folder)


class Guest:
    """Runs programs on the driver whose module is called `module`, with its parameters. To be used with `with`."""

    def __init__(
        self, program: Path, module: str, source: Path, disk: Path, kernel: str | None = None, limit: float = LIMIT
    ) -> None:
        self._program = program
        self._limit = limit
        image = nested.image("igt", "--module", str(source), *(["--kernel", kernel] if kernel else []))
        boot = {"kernel": image["vmlinuz"], "initramfs": image["initramfs"]}
        boot["cmdline"] = f"{image['cmdline']} driver={module}"
        disks = [{"path": str(path), "readonly": True} for path in (image["disk"], disk)]
        self._config = {"boot": boot, "disk": disks, "memory": "1 GiB"}
        self._module = module.partition(",")[0]
        self._vm: nested.NestedVm | None = None
        self._stack = contextlib.ExitStack()
        self.starts = 0
        self.driver = ""

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_why) -> None:
        self._stack.close()

    def _running(self) -> nested.NestedVm:
        if self._vm is None:
            vm = self._stack.enter_context(nested.NestedVm(self._program, self._config, seconds=GUEST_SECONDS))
            self.driver = vm.wait_serial(DRIVER_SAID)[1]
            expect(self.driver.startswith(f"driver {self._module},"), self.driver)
            vm.wait_serial(READY)
            self._vm = vm
            self.starts += 1
        return self._vm

    def _lose(self) -> None:
        """The next program has a new guest."""
        self._vm = None
        self._stack.close()

    def run(self, program: str) -> tuple[dict[str, Result], list[str]]:
        """Results of all subtests, and what the kernel complained of meanwhile."""
        # The start is not the program's; if it fails, it is tried again where that is looked at.
        with contextlib.suppress(Failed, OSError):
            self._running()
        kernel: list[str] = []
        results = self._all(program, kernel)
        # What a subtest that failed has left behind in the program makes others fail, so each has another try on its own,
        # in as much time again.
        failed = [name for name, result in results.items() if result.outcome == FAIL and name != program]
        limit = time.monotonic() + self._limit
        for name in failed if len(failed) > 1 else []:
            if time.monotonic() >= limit:
                break
            reader = self._followed(program, [], limit, name)
            kernel += reader.kernel
            if reader.code is not None:
                results |= reader.results
            elif time.monotonic() < limit:
                results |= self._stopped(reader, limit)
        return results, kernel

    def _all(self, program: str, kernel: list[str]) -> dict[str, Result]:
        results: dict[str, Result] = {}
        limit = time.monotonic() + self._limit
        for _ in range(MOST_HANGS):
            reader = self._followed(program, list(results), limit)
            results |= reader.results
            kernel += reader.kernel
            if reader.running is None and reader.code is not None:
                return results
            # Whatever did not end of itself is a result, too, and the rest is run without it.
            results |= self._stopped(reader, limit)
            if reader.running is None:
                return results
        results[REST] = Result(TIMEOUT, f"not run after {MOST_HANGS} subtests that did not end")
        return results

    def _stopped(self, reader: Reader, limit: float) -> dict[str, Result]:
        """What there is to say of a run that did not end as it should."""
        if reader.code is not None and reader.running:
            return {reader.running: Result(CRASH, f"the program ended with {reader.code}")}
        if reader.kernel:
            return {reader.running or reader.program: Result(CRASH, reader.kernel[0])}
        if time.monotonic() >= limit:
            # Which of them was running then says nothing about it.
            reader.running = None
            return {REST: Result(TIMEOUT, f"not run, or not to its end: the program was stopped after {self._limit:g} s")}
        return {reader.running or reader.program: Result(TIMEOUT, f"silent for {SILENCE:g} s")}

    def _followed(self, program: str, without: list[str], limit: float, subtest: str = "") -> Reader:
        """Runs the program in a guest that lives as long as it does."""
        lost: Exception | None = None
        for _ in range(MOST_LOSSES):
            try:
                return self._once(program, without, limit, subtest)
            except (Failed, OSError) as error:
                self._lose()
                lost = error
        raise Failed(f"the guest was lost {MOST_LOSSES} times: {lost}")

    def _once(self, program: str, without: list[str], limit: float, subtest: str) -> Reader:
        """Runs the program without some of its subtests or only one, to its end or until it is silent for too long."""
        vm = self._running()
        reader = Reader(program)
        names = "".join(f"{name}\n" for name in without)
        vm.ask(": >/run/without; echo cleared", r"^cleared$")
        for name in names.split():
            vm.ask(f"echo '{name}' >>/run/without; echo added", r"^added$")
        at = len(vm.serial())
        vm.send(f"igt {program} {subtest} &")
        heard = time.monotonic()
        while reader.code is None:
            expect(vm.process.poll() is None, f"caraway ended: {vm.errors()}")
            new = vm.serial()[at:]
            whole = new.rpartition("\n")[0]
            if whole:
                at += len(whole) + 1
                heard = time.monotonic()
                for line in whole.split("\n"):
                    reader.line(line)
            # That is the nested host's failure, and not the program's.
            expect(not reader.is_new_guest, "it has started anew")
            if any(line.startswith("Kernel panic") for line in reader.kernel):
                self._lose()
                return reader
            if time.monotonic() >= min(heard + SILENCE, limit):
                self._stop(vm, reader, at)
                return reader
            time.sleep(POLL_SECONDS)
        if any(not line.startswith("WARNING") for line in reader.kernel):
            self._lose()
        return reader

    def _stop(self, vm: nested.NestedVm, reader: Reader, at: int) -> None:
        vm.send("igt stop")
        try:
            vm.wait_serial(r"^igt: \S+ ended with", KILL_SECONDS, at)
        except Failed:
            # It does not die: the kernel has it.
            stack = vm.serial()[at:]
            with contextlib.suppress(Failed):
                vm.ask("cat /proc/$(cat /run/igt.pid)/stack; echo stack", r"^stack$", KILL_SECONDS)
                stack = vm.serial()[at:]
            reader.kernel.append("BUG: cannot be killed: " + " ".join(stack.split())[-400:])
            self._lose()
