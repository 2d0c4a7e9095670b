"""What a hostile server makes of its messages."""

import random
import struct

from .messages import EDGES
from .relay import Line, Spoiled

SIZES = (0, 1, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
# Types of messages, and what is none.
KINDS = (0, 1, *range(3, 9), *range(101, 128), *range(302, 320), 999, 0x8000, 0xFFFF)


def lengths(rng: random.Random, size: int) -> int:
    """A length below that of a body: edges of fields, and any."""
    near = [0, 1, 2, 4, size - 1, size - 2, size - 4, size // 2, rng.randrange(size), rng.randrange(min(size, 64))]
    return max(0, rng.choice(near))


def changed(rng: random.Random, body: bytes) -> bytes:
    """Some bytes, or words, are others: more often where the fields are."""
    spoiled = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        limit = min(len(body), rng.choice((24, 64, 128, len(body))))
        at = rng.randrange(limit)
        if rng.random() < 0.5:
            spoiled[at] ^= 1 << rng.randrange(8)
        else:
            width = rng.choice((1, 2, 4))
            value = rng.choice((*EDGES, rng.getrandbits(32))) & ((1 << 8 * width) - 1)
            spoiled[at : at + width] = value.to_bytes(width, "little")[: len(body) - at]
    return bytes(spoiled)


def spoil(rng: random.Random, line: Line, kind: int, body: bytes, how: str | None = None) -> Spoiled:
    """Another message in the place of one."""
    how = how or rng.choice(
        ("truncated", "truncated", "changed", "changed", "changed", "changed", "longer", "other", "dropped", "doubled",
         "lying", "sub-list", "stopped", "closed")
    )  # fmt: skip
    if not body and how in ("truncated", "changed"):
        how = "longer"
    if how == "truncated":
        short = body[: lengths(rng, len(body))]
        return Spoiled(f"{kind}: {len(short)} of {len(body)} bytes", line.framed(kind, short))
    if how == "changed":
        return Spoiled(f"{kind}: {how}", line.framed(kind, changed(rng, body)))
    if how == "longer":
        more = rng.randbytes(rng.choice((1, 4, 100, 70000)))
        return Spoiled(f"{kind}: {len(more)} bytes more", line.framed(kind, body + more))
    if how == "other":
        other = rng.choice(KINDS)
        return Spoiled(f"{kind} as {other}", line.framed(other, body))
    if how == "dropped":
        return Spoiled(f"{kind}: {how}")
    if how == "doubled":
        return Spoiled(f"{kind}: {how}", line.framed(kind, body) * 2)
    if how == "lying":
        size = rng.choice((*SIZES, len(body) + 1, max(0, len(body) - 1)))
        return Spoiled(f"{kind}: size {size} of {len(body)}", line.header(kind, size) + body, framed=False)
    if how == "sub-list" and not line.mini:
        sub_list = rng.choice((1, len(body), len(body) - 1, rng.randrange(len(body) + 1), 0xFFFFFFFF)) & 0xFFFFFFFF
        return Spoiled(f"{kind}: sub-list at {sub_list}", line.header(kind, len(body), sub_list) + body)
    whole = line.framed(kind, body)
    part = whole[: rng.randrange(len(whole) + 1)]
    if how == "closed":
        return Spoiled(f"{kind}: closed after {len(part)} bytes", part, "close", framed=False)
    return Spoiled(f"{kind}: stopped after {len(part)} bytes", part, "stall", framed=False)


def spoil_link(rng: random.Random, line: Line, whole: bytes) -> Spoiled:
    """Another link reply or result."""
    how = rng.choice(("truncated", "changed", "changed", "changed", "error", "silent", "closed", "doubled"))
    name = f"link of {len(whole)} bytes: {how}"
    if how == "truncated":
        return Spoiled(name, whole[: lengths(rng, len(whole))], "stall", framed=False)
    if how == "changed":
        return Spoiled(name, changed(rng, whole), framed=False)
    if how == "error":
        at = 16 if len(whole) > 16 else 0
        code = rng.choice((*range(1, 12), 0xFFFFFFFF))
        return Spoiled(f"{name} {code}", whole[:at] + struct.pack("<I", code) + whole[at + 4 :], framed=False)
    if how == "silent":
        return Spoiled(name, b"", "stall", framed=False)
    if how == "closed":
        return Spoiled(name, whole[: rng.randrange(len(whole))], "close", framed=False)
    return Spoiled(name, whole * 2, framed=False)
