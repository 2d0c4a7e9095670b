"""Scan codes of set 1 for the keys of a US keyboard; 0x100 + code stands for the prefix e0, as spice-gtk wants it."""

ENTER = 0x1C
LEFT_SHIFT = 0x2A

_ROWS = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
NAMED = {
    "esc": 0x01, "backspace": 0x0E, "tab": 0x0F, "enter": ENTER, "ctrl": 0x1D, "shift": LEFT_SHIFT, "alt": 0x38,
    "space": 0x39, "capslock": 0x3A, "f1": 0x3B, "f2": 0x3C, "f3": 0x3D, "f4": 0x3E, "f5": 0x3F, "f6": 0x40,
    "f7": 0x41, "f8": 0x42, "f9": 0x43, "f10": 0x44, "f11": 0x57, "f12": 0x58, "home": 0x147, "up": 0x148,
    "pageup": 0x149, "left": 0x14B, "right": 0x14D, "end": 0x14F, "down": 0x150, "pagedown": 0x151, "insert": 0x152,
    "delete": 0x153,
}  # fmt: skip


def _table() -> dict[str, tuple[int, bool]]:
    table = {" ": (0x39, False), "\n": (ENTER, False), "\t": (0x0F, False)}
    for first, plain, shifted in _ROWS:
        for number, (one, other) in enumerate(zip(plain, shifted)):
            table[one] = (first + number, False)
            table[other] = (first + number, True)
    return table


CHARACTERS = _table()


def strokes(text: str) -> list[tuple[int, bool]]:
    """The key events that type `text`: (scan code, pressed). Raises KeyError for a character without a key."""
    events = []
    for character in text:
        code, shifted = CHARACTERS[character]
        if shifted:
            events.append((LEFT_SHIFT, True))
        events += [(code, True), (code, False)]
        if shifted:
            events.append((LEFT_SHIFT, False))
    return events
