"""What a host may lack or refuse: one line, exit code 1."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

from harness import kernel, vm
from harness.vm import expect

from .start import Starts, one_line

NO_OVERRIDE = "setpriv --bounding-set=-dac_override,-dac_read_search"
MIB = 1 << 20
# In a network of its own, where loopback may be up or down: either way none of these can be had.
TAKE_DEFAULT_PORTS = """
import os, socket, sys
taken = [socket.socket() for _ in range(5900, 5910)]
for number, taker in enumerate(taken):
    taker.set_inheritable(True)
    try:
        taker.bind(("127.0.0.1", 5900 + number))
        taker.listen()
    except OSError:
        pass
os.execv(sys.argv[1], sys.argv[1:])
"""


def in_mount_namespace(script: str) -> list[str]:
    """A wrapper that changes the file system for the program alone."""
    return ["unshare", "--mount", "sh", "-ec", f'{script}; exec "$@"', "sh"]


class BadHost:
    def __init__(self, starts: Starts, _demo: Path) -> None:
        self.starts = starts
        starts.file("good.elf", kernel.elf(kernel.HALT_FOREVER))

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("no /dev/kvm, or not the real one", self.no_kvm),
            ("no right to /dev/kvm", self.no_right),
            ("a port in use", self.port_in_use),
            ("Unix sockets that are taken", self.socket_taken),
            ("no memory", self.no_memory),
            ("a run directory that cannot be used", self.run_directory),
            ("a second start names the first one's process", self.second_start),
        ]

    def config(self, text: str = "", spice: str = "127.0.0.1:0", memory: str = "32 MiB") -> str:
        return f"name = 'vm'\nmemory = '{memory}'\n[boot]\nkernel = 'good.elf'\n[spice]\nlisten = '{spice}'\n{text}"

    def no_kvm(self) -> None:
        nothing = in_mount_namespace("mount -t tmpfs none /dev")
        self.starts.refused(self.config(), "/dev/kvm is not there", wrapper=nothing)
        other = in_mount_namespace("mount --bind /dev/null /dev/kvm")
        self.starts.refused(self.config(), "/dev/kvm is not KVM", wrapper=other)
        # The demo VM is no exception.
        one_line(vm.run_to_end(self.starts.program, ["run"], wrapper=nothing), 1, "caraway: ", "/dev/kvm")

    def no_right(self) -> None:
        closed = self.starts.file("kvm", b"")
        closed.chmod(0)
        wrapper = in_mount_namespace(f"mount --bind '{closed}' /dev/kvm") + NO_OVERRIDE.split()
        self.starts.refused(self.config(), "no right to open /dev/kvm", wrapper=wrapper)

    def port_in_use(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.starts.refused(self.config(spice=address), f"cannot listen for SPICE on {address}", "in use")
        wrapper = ["unshare", "--net", "python3", "-c", TAKE_DEFAULT_PORTS]
        ended = vm.run_to_end(self.starts.program, ["run"], wrapper=wrapper)
        one_line(ended, 1, "caraway: ", "5900 to 5909")

    def socket_taken(self) -> None:
        path = self.starts.folder / "taken.sock"
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(str(path))
            taken.listen()
            self.starts.refused(self.config(f"[control]\nsocket = '{path}'\n"), str(path), "in use")
            self.starts.refused(self.config(spice=f"unix:{path}"), str(path), "in use")
            expect(path.is_socket(), "somebody else's socket was removed")
        file = self.starts.file("file.sock", b"precious")
        self.starts.refused(self.config(f"[control]\nsocket = '{file}'\n"), str(file), "in use")
        expect(file.read_bytes() == b"precious", "a file in the place of a socket was touched")
        missing = self.starts.folder / "absent" / "control.sock"
        self.starts.refused(self.config(f"[control]\nsocket = '{missing}'\n"), str(missing), "No such file")
        long = self.starts.folder / ("x" * 100) / "control.sock"
        self.starts.refused(self.config(f"[control]\nsocket = '{long}'\n"), str(long))
        # A socket that its owner left behind is no obstacle.
        path_text = self.config(f"[control]\nsocket = '{path}'\n")
        with vm.Vm(self.starts.program, [str(self.starts.write(path_text))]) as machine:
            expect(machine.places["control"] == str(path), f"the control socket is {machine.places['control']}")
            machine.ctl("quit")
            expect(machine.wait() == 0, "the VM did not end in order")
        expect(not path.exists(), "the control socket was left behind")

    def no_memory(self) -> str:
        """Whatever the limit, the program says what it lacks, or runs."""
        limit = ["prlimit", f"--as={1 << 30}"]
        said = self.starts.refused(self.config(memory="8 GiB"), "memory", wrapper=limit)
        outcomes = {0: 0, 1: 0}
        text = self.config("[display]\nmax_resolution = '1024x768'\n")
        path = self.starts.write(f"debug_exit = true\n{text}")
        self.starts.file("good.elf", kernel.elf(kernel.out8(kernel.DEBUG_EXIT, 0)))
        for limit in range(48, 1024, 24):
            ended = vm.run_to_end(self.starts.program, ["run", str(path)], wrapper=["prlimit", f"--as={limit * MIB}"])
            if ended.code == 64:
                outcomes[0] += 1
                continue
            # The dynamic loader ends what does not even fit itself.
            if ended.code == 127 and "shared libraries" in ended.err:
                continue
            one_line(ended, 1, "caraway: ")
            outcomes[1] += 1
        expect(min(outcomes.values()) > 0, f"ran {outcomes[0]} times, refused {outcomes[1]} times")
        return f"{said.strip()}; {outcomes[1]} other limits refused, {outcomes[0]} enough"

    def run_directory(self) -> None:
        text = self.config()
        closed = self.starts.folder / "closed"
        closed.mkdir(mode=0o500)
        wrapper = NO_OVERRIDE.split()
        self.starts.refused(text, str(closed), "Permission denied", wrapper=wrapper, run_directory=str(closed))
        long = self.starts.folder / ("x" * 100)
        self.starts.refused(text, "107", "CARAWAY_RUN_DIR", run_directory=str(long))
        file = self.starts.file("file", b"")
        self.starts.refused(text, f"{file} is not a directory", run_directory=str(file))
        absent = self.starts.folder / "absent" / "run"
        self.starts.refused(text, str(absent), "No such file", run_directory=str(absent))
        shared = self.starts.folder / "shared"
        shared.mkdir()
        shared.chmod(0o777)
        self.starts.refused(text, str(shared), run_directory=str(shared))
        foreign = self.starts.folder / "foreign"
        (foreign / "vm").mkdir(parents=True)
        (foreign / "vm" / "letter").write_text("private")
        foreign.chmod(0o700)
        path = self.starts.write(text)
        ended = vm.run_to_end(self.starts.program, ["run", str(path)], run_directory=str(foreign))
        expect(ended.code == 1 and "not a VM's folder" in ended.err, f"a folder that is no VM's: {ended}")
        expect((foreign / "vm" / "letter").read_text() == "private", "a file that no VM made was touched")

    def second_start(self) -> None:
        self.starts.file("good.elf", kernel.elf(kernel.HALT_FOREVER))
        path = self.starts.write(self.config())
        with vm.Vm(self.starts.program, [str(path)]) as first:
            ended = vm.run_to_end(self.starts.program, ["run", str(path)], run_directory=first.run_directory)
            pid = first.process.pid
            expect(ended.code == 1 and ended.err == f"caraway: VM vm is running already (pid {pid})\n", f"{ended}")
            first.ctl("status")
            # Killed, it leaves everything behind; the next one starts over it.
            files = sorted(os.listdir(f"{first.run_directory}/vm"))
            wanted = ["info.json", "lock", "pid", "qmp.sock", "screen.vv", "serial.sock"]
            expect(files == wanted, f"the VM's folder holds {files}, not {wanted}")
            modes = {name: os.stat(f"{first.run_directory}/vm/{name}").st_mode & 0o777 for name in files}
            expect(set(modes.values()) == {0o600}, f"modes {modes}")
            first.process.kill()
            first.process.wait()
            self.starts.file("good.elf", kernel.elf(kernel.out16(kernel.PM1_CONTROL, kernel.POWER_OFF)))
            ended = vm.run_to_end(self.starts.program, ["run", str(path)], run_directory=first.run_directory)
            expect((ended.code, ended.err, ended.left) == (0, "", []), f"after a kill: {ended}")
        found = re.findall(r"pid (\d+)", ended.out)
        expect(len(found) == 1 and found[0] != str(pid), f"the announcement says {ended.out!r}")
