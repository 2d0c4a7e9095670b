#!/usr/bin/python3 -S
"""relay.py PORT=SOCKET...: makes Unix sockets reachable by TCP; runs in the nested host, beside caraway.

Each connection to a port is one to its socket, which is waited for.
"""

import contextlib
import socket
import sys
import threading
import time

POLL_SECONDS = 0.1


def copy(source: socket.socket, target: socket.socket) -> None:
    """Passes on what `source` sends until either end closes, and then closes both directions."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(outer: socket.socket, path: str) -> None:
    """One connection."""
    inner = socket.socket(socket.AF_UNIX)
    while True:
        try:
            inner.connect(path)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(POLL_SECONDS)
    threading.Thread(target=copy, args=(inner, outer), daemon=True).start()
    copy(outer, inner)


def listen(port: int, path: str) -> None:
    with socket.create_server(("0.0.0.0", port)) as server:
        while True:
            outer, _ = server.accept()
            threading.Thread(target=serve, args=(outer, path), daemon=True).start()


for argument in sys.argv[1:]:
    number, _, name = argument.partition("=")
    threading.Thread(target=listen, args=(int(number), name)).start()
