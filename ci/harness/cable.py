"""A cable between clients and a port of this machine, which can be cut and mended."""

import contextlib
import socket
import struct
import threading

from .vm import SECONDS


class Cable:
    """Passes on all there is, until it is cut. To be used with `with`."""

    def __init__(self, port: str) -> None:
        self._target = ("127.0.0.1", int(port))
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False

    def __enter__(self) -> "Cable":
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._server.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(self._target, SECONDS)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                with self._lock:
                    self._ends += [near, far]
                    if self._is_cut:
                        self._reset()
                        continue
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=[source, target], daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            if not self._is_cut:
                target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Both sides see a reset, and so does who comes until it is mended."""
        with self._lock:
            self._is_cut = True
            self._reset()

    def mend(self) -> None:
        """Who comes now gets through."""
        with self._lock:
            self._is_cut = False

    def _reset(self) -> None:
        for end in self._ends:
            # A thread may be in recv, and would keep the connection.
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)
            end.close()
        self._ends.clear()

    def __exit__(self, *_error) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
