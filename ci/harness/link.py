"""A slow link in front of a VM's screen: `caraway-relay`."""

import subprocess

from . import vm


class Link:
    """A line of so many kbit/s and milliseconds to a port of this machine. To be used with `with`."""

    def __init__(self, port: str, kbit: int, delay: int) -> None:
        program = vm.build(package="caraway-relay", program="caraway-relay")
        self._command = [str(program), "127.0.0.1:0", f"127.0.0.1:{port}", "--rate", str(kbit), "--delay", str(delay)]

    def __enter__(self) -> "Link":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self.port = self._process.stdout.readline().strip().rpartition(":")[2]
        vm.expect(self.port, "caraway-relay did not start")
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(vm.SECONDS)
