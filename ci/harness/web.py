"""A browser's way in: WebSocket by python3-websockets, and requests for something else."""

import asyncio
import hashlib
import http.client
import os
import ssl
import struct

import websockets

from . import spice
from .vm import SECONDS, Failed, expect

# What RFC 8017 calls hLen: the length of SHA-1.
HASH_BYTES = 20
# Where a key of 1024 bits is in its 162 bytes of SubjectPublicKeyInfo; the exponent is 65537.
MODULUS = slice(29, 157)
AUTH_SPICE = 1
MAIN_INIT = 103
DATA_HEADER = struct.Struct("<QHII")
UPGRADE = {
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "binary",
}  # fmt: skip


def mask(seed: bytes, length: int) -> bytes:
    """MGF1 of RFC 8017, with SHA-1."""
    blocks = (hashlib.sha1(seed + struct.pack(">I", number)).digest() for number in range(length // HASH_BYTES + 1))
    return b"".join(blocks)[:length]


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def encrypt(key: bytes, text: bytes) -> bytes:
    """RSA with OAEP of RFC 8017, as tickets are encrypted."""
    modulus = int.from_bytes(key[MODULUS], "big")
    size = spice.TICKET_BYTES - HASH_BYTES - 1
    block = hashlib.sha1(b"").digest() + bytes(size - HASH_BYTES - 1 - len(text)) + b"\x01" + text
    seed = os.urandom(HASH_BYTES)
    block = xor(block, mask(seed, size))
    whole = b"\x00" + xor(seed, mask(block, HASH_BYTES)) + block
    return pow(int.from_bytes(whole, "big"), 65537, modulus).to_bytes(spice.TICKET_BYTES, "big")


class Bytes:
    """The stream of bytes in the messages of a WebSocket."""

    def __init__(self, socket: websockets.WebSocketClientProtocol) -> None:
        self._socket = socket
        self._buffer = b""

    async def receive(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += await self._socket.recv()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found


async def _link(
    url: str, ticket: str, origin: str | None, context: ssl.SSLContext | None, unix: str | None, channel: int
) -> int:  # fmt: skip
    options = {"subprotocols": ["binary"], "origin": origin, "ssl": context, "compression": None}
    connecting = websockets.unix_connect(unix, url, **options) if unix else websockets.connect(url, **options)
    async with connecting as socket:
        expect(socket.subprotocol == "binary", f"the server speaks {socket.subprotocol}")
        await (await socket.ping())
        server = Bytes(socket)
        # A client with no capabilities says its ticket at once, and has long headers.
        message = spice.message(channel=channel)
        await socket.send(message[:5])
        await socket.send([message[5:9], message[9:]])
        magic, _, _, size = struct.unpack("<4sIII", await server.receive(16))
        body = await server.receive(size)
        (code,) = struct.unpack_from("<I", body)
        expect(magic == spice.MAGIC, f"the link reply is {magic!r}, {code}")
        if code != spice.OK:
            return code
        await socket.send(encrypt(body[4:166], ticket.encode() + b"\x00"))
        (code,) = struct.unpack("<I", await server.receive(4))
        if code != spice.OK:
            return code
        kind = None
        while kind != MAIN_INIT:
            _, kind, size, _ = DATA_HEADER.unpack(await server.receive(DATA_HEADER.size))
            await server.receive(size)
        return spice.OK


def link(url: str, ticket: str, *, origin: str | None = None, ca: str | None = None, unix: str | None = None) -> None:
    """Links a main channel up to its INIT, as a page of `origin` or as no browser, when `origin` is None."""
    code = result(url, ticket, origin=origin, ca=ca, unix=unix)
    expect(code == spice.OK, f"the server answers {code}")


def result(
    url: str, ticket: str, *, origin: str | None = None, ca: str | None = None, unix: str | None = None,
    channel: int = spice.MAIN,
) -> int:  # fmt: skip
    """Links a channel, main up to its INIT; the code of the link error with which the server ended that, or OK."""
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        return asyncio.run(asyncio.wait_for(_link(url, ticket, origin, context, unix, channel), SECONDS))
    except websockets.WebSocketException as error:
        raise Failed(f"{url} as {origin}: {error}") from error


def ask(port: str, headers: dict[str, str], *, ca: str | None = None) -> tuple[int, str]:
    """Status and text of the answer to a request."""
    if ca:
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection("127.0.0.1", int(port), timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=SECONDS)
    try:
        connection.request("GET", "/", headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
