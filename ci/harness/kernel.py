"""Tiny guests: a few bytes of 32-bit code in an ELF file with a PVH note, entered with paging off and flat segments."""

import struct

BASE = 0x10_0000
CODE_OFFSET = 0x100
# Where the segment starts in the file.
FILE_OFFSET = 0x1000
SERIAL = 0x3F8
DEBUG_EXIT = 0xF4
RESET_CONTROL = 0xCF9
KEYBOARD_COMMAND = 0x64
PM1_CONTROL = 0x604
# PM1 control: SLP_EN with the machine's SLP_TYP of S5.
POWER_OFF = 5 << 10 | 1 << 13

HALT_FOREVER = b"\xf4\xeb\xfd"  # again: hlt; jmp again
SPIN_FOREVER = b"\xeb\xfe"
# No stack and an empty interrupt table: the invalid instruction cannot be delivered, nor the faults that follow.
TRIPLE_FAULT = b"\x31\xe4\x0f\x01\x1d\x00\x00\x00\x00\x0f\x0b"  # xor esp, esp; lidt [0]; ud2


def out8(port: int, value: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def out16(port: int, value: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\x66\xb8" + struct.pack("<H", value) + b"\x66\xef"


def out32(port: int, value: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb8" + struct.pack("<I", value) + b"\xef"


def in32(port: int) -> bytes:
    return b"\x66\xba" + struct.pack("<H", port) + b"\xed"


def say(text: str) -> bytes:
    return b"".join(out8(SERIAL, byte) for byte in text.encode())


def elf(code: bytes) -> bytes:
    """The kernel: one segment with the note in its first bytes and the code behind it."""
    # Execution must not run into what follows.
    code += HALT_FOREVER
    size = CODE_OFFSET + len(code)
    entry = BASE + CODE_OFFSET
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    segments = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, FILE_OFFSET, BASE, BASE, length, length, align)
        for kind, flags, length, align in [(1, 7, size, 0x1000), (4, 4, 20, 4)]
    )
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    return (header + segments).ljust(FILE_OFFSET, b"\0") + note.ljust(CODE_OFFSET, b"\0") + code
