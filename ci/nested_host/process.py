"""The QEMU process and the three byte streams between it and us: control lines, stdout and stderr of the job."""

import ctypes
import resource
import selectors
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
TAIL = 2000


class HostFailed(Exception):
    """The nested host itself failed: QEMU ended, or the machine fell silent. Never the fault of the job."""


def _before_exec() -> None:
    # Runs in the child: QEMU must not outlive us even when we are killed, and a 9p export of a whole disk needs many
    # descriptors.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Qemu:
    """One running QEMU with its control, stdout and stderr streams connected to socket pairs."""

    def __init__(self, command: list[str], extra: list[socket.socket] | None = None) -> None:
        self._streams: dict[str, socket.socket] = {}
        theirs = []
        for name in ("control", "stdout", "stderr"):
            ours, other = socket.socketpair()
            self._streams[name] = ours
            theirs.append(other)
            command = [*command, "-chardev", f"socket,id={name},fd={other.fileno()}"]
        descriptors = [end.fileno() for end in (*theirs, *(extra or []))]
        self._said = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C at the terminal reaches us only, and we end QEMU.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said,
            pass_fds=descriptors, start_new_session=True, preexec_fn=_before_exec,
        )  # fmt: skip
        for end in theirs:
            end.close()
        self._lines = b""
        self._selector = selectors.DefaultSelector()
        for name, stream in self._streams.items():
            self._selector.register(stream, selectors.EVENT_READ, name)

    def send(self, line: str) -> None:
        """Sends a control line; it is read when the machine is up."""
        self._streams["control"].sendall(line.encode() + b"\n")

    def events(self, limit: float):
        """Yields what arrives until `limit` (monotonic time): ("control", line), ("stdout", bytes), ("stderr", bytes).

        Ends at the limit; raises HostFailed when QEMU goes away.
        """
        while (left := limit - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                try:
                    data = key.fileobj.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                if key.data != "control":
                    if data:
                        yield key.data, data
                    else:
                        self._selector.unregister(key.fileobj)
                    continue
                if not data:
                    raise HostFailed(f"QEMU ended: {self._last_words()}")
                *lines, self._lines = (self._lines + data).split(b"\n")
                for line in lines:
                    yield "control", line.decode(errors="replace").strip()

    def expect(self, wanted: str, seconds: float) -> None:
        """Waits for the control line `wanted`."""
        for stream, data in self.events(time.monotonic() + seconds):
            if stream == "control":
                if data == wanted:
                    return
                if data.startswith("failed"):
                    raise HostFailed(data)
        raise HostFailed(f"no {wanted!r} from the nested host within {seconds:.0f} s")

    def drain(self):
        """Yields what the job wrote before the machine was ended."""
        for name in ("stdout", "stderr"):
            stream = self._streams[name]
            stream.settimeout(5)
            try:
                while data := stream.recv(1 << 16):
                    yield name, data
            except OSError:
                continue

    def kill(self) -> None:
        """Ends QEMU and reaps it; nothing happens when it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Ends QEMU and closes the streams."""
        self.kill()
        self._selector.close()
        for stream in self._streams.values():
            stream.close()
        self._said.close()

    def _last_words(self) -> str:
        self.kill()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").splitlines()
        # Warnings about features of the EPYC that the software CPU lacks come at every start.
        lines = [line for line in said if "TCG doesn't support" not in line]
        return f"code {self._process.returncode}; {' / '.join(lines)[-TAIL:] or 'it said nothing'}"
