"""The pictures of the benches: 1080p, made of integers from a seed, so that they are the same everywhere."""

import numpy as np

WIDTH, HEIGHT = 1920, 1080
SEED = 4

# Colours are 0xRRGGBB; pictures are height x width x 3 bytes, blue first, as SPICE stores them.
WHITE, INK, GREY, BLUE = 0xFFFFFF, 0x202124, 0xE8EAED, 0x1A5FB4
TERMINAL = (0x1E1E2E, (0xCDD6F4, 0x89B4FA, 0xA6E3A1, 0xF9E2AF, 0xF38BA8))
GLYPH_WIDTH, GLYPH_HEIGHT, LINE = 9, 14, 19


def mixed(seed: int, *keys) -> np.ndarray:
    """32 random bits for each combination of the keys, which are numbers or arrays that fit together."""
    # Never a scalar: numpy warns of those that overflow.
    total = np.array([seed * 0x9E3779B1 & 0xFFFFFFFF], np.uint32)
    for key in keys:
        total = (total ^ np.asarray(key, np.uint32)) * np.uint32(0x85EBCA6B)
        total = (total ^ (total >> np.uint32(15))) * np.uint32(0xC2B2AE35)
        total = total ^ (total >> np.uint32(13))
    return total


class Draws:
    """A sequence of random numbers."""

    def __init__(self, seed: int) -> None:
        self._seed, self._at = seed, 0

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""
        self._at += 1
        return int(mixed(self._seed, self._at)[0]) % bound

    def among(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)


def bgr(colour: int) -> np.ndarray:
    return np.array([colour & 255, colour >> 8 & 255, colour >> 16 & 255], np.int64)


def fill(picture: np.ndarray, x: int, y: int, width: int, height: int, colour: int) -> None:
    picture[max(y, 0) : y + height, max(x, 0) : x + width] = bgr(colour)


def blend(part: np.ndarray, cover: np.ndarray, colour: int) -> None:
    """Lays `colour` over a part of a picture, `cover` (0 to 255 for each pixel) of it."""
    cover = cover[: part.shape[0], : part.shape[1], None].astype(np.int64)
    part[:] = (part * (255 - cover) + bgr(colour) * cover + 127) // 255


def glyphs(seed: int, count: int = 60) -> list[np.ndarray]:
    """Shapes like letters: a few strokes each, with soft edges."""
    draws = Draws(seed)
    scale = 4
    made = []
    for _ in range(count):
        fine = np.zeros((GLYPH_HEIGHT * scale, GLYPH_WIDTH * scale), np.int64)
        top = draws.below(3) * 2
        for _ in range(draws.among(2, 4)):
            thick = draws.among(5, 6)
            x, y = draws.below(GLYPH_WIDTH - 4) * scale + 2, (top + draws.below(GLYPH_HEIGHT - top - 4)) * scale
            kind = draws.below(3)
            if kind == 0:
                fine[top * scale + 2 : (GLYPH_HEIGHT - 3) * scale, x : x + thick] = 255
            elif kind == 1:
                fine[y : y + thick, 3 : (GLYPH_WIDTH - 2) * scale] = 255
            else:
                for step in range(GLYPH_WIDTH * scale - 12):
                    row = y // 2 + step if draws.below(2) else y // 2 + step + 1
                    fine[row : row + thick, 3 + step : 3 + step + thick] = 255
        made.append(fine.reshape(GLYPH_HEIGHT, scale, GLYPH_WIDTH, scale).sum((1, 3)) // (scale * scale))
    return made


def write_line(picture: np.ndarray, x: int, y: int, end: int, draws: Draws, letters: list[np.ndarray], colours) -> None:
    """Words from `x` to `end`, each in one of `colours`."""
    while x < end:
        colour = colours[draws.below(len(colours))]
        for _ in range(draws.among(1, 9)):
            if x + GLYPH_WIDTH > end or y + GLYPH_HEIGHT > picture.shape[0]:
                return
            # A few letters are far more frequent than others.
            letter = letters[min(draws.below(len(letters)), draws.below(len(letters)))]
            blend(picture[y : y + GLYPH_HEIGHT, x : x + GLYPH_WIDTH], letter, colour)
            x += GLYPH_WIDTH
        x += GLYPH_WIDTH


def ui_text() -> np.ndarray:
    """An editor with text on white, a list beside it and a terminal: few colours, much of it the same."""
    draws, letters = Draws(SEED), glyphs(SEED + 1)
    picture = np.empty((HEIGHT, WIDTH, 3), np.int64)
    fill(picture, 0, 0, WIDTH, HEIGHT, GREY)
    fill(picture, 0, 0, WIDTH, 30, INK)
    write_line(picture, 12, 8, 700, draws, letters, [WHITE])
    fill(picture, 300, 40, 980, 1030, WHITE)
    for number, y in enumerate(range(48, 1060, LINE)):
        fill(picture, 300, y - 2, 44, LINE, GREY)
        write_line(picture, 306, y, 340, draws, letters, [0x9AA0A6])
        if number % 7 != 5:
            indent = draws.below(5) * 4 * GLYPH_WIDTH
            colours = [INK, INK, INK, BLUE, 0x26A269]
            write_line(picture, 356 + indent, y, draws.among(500, 1270), draws, letters, colours)
    for number, y in enumerate(range(48, 1060, 26)):
        if number == 6:
            fill(picture, 8, y - 5, 280, 25, BLUE)
        fill(picture, 16, y, 14, 14, (0xE5A50A, 0x3584E4, 0x33D17A)[draws.below(3)])
        write_line(picture, 40, y, draws.among(120, 270), draws, letters, [WHITE if number == 6 else INK])
    fill(picture, 1300, 40, 610, 1030, TERMINAL[0])
    for y in range(48, 900, LINE):
        write_line(picture, 1308, y, draws.among(1400, 1900), draws, letters, TERMINAL[1])
    return picture.astype(np.uint8)


def slope(first: int, last: int, position: np.ndarray, length: int) -> np.ndarray:
    """Colours between two, by position from 0 to `length`."""
    position = position[..., None]
    return (bgr(first) * (length - position) + bgr(last) * position) // length


def ui_gradient() -> np.ndarray:
    """Windows with shadows over a sloping background, buttons that are lighter at the top, some text."""
    draws, letters = Draws(SEED + 2), glyphs(SEED + 1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = slope(0x204A87, 0xAD7FA8, x + y, WIDTH + HEIGHT)
    for left, top, width, height in ((90, 80, 900, 620), (700, 330, 1000, 640), (1180, 60, 640, 400)):
        reach = 24
        for distance in range(reach, 0, -1):
            edge = np.full((height + 2 * distance, width + 2 * distance), 6)
            corner_x, corner_y = left - distance + 6, top - distance + 10
            part = picture[corner_y : corner_y + edge.shape[0], corner_x : corner_x + edge.shape[1]]
            blend(part, edge, 0)
        rows = np.arange(height)
        picture[top : top + height, left : left + width] = slope(0xFAFAFA, 0xE4E4E8, rows, height)[:, None]
        picture[top : top + 36, left : left + width] = slope(0x6699CC, 0x3465A4, np.arange(36), 36)[:, None]
        write_line(picture, left + 14, top + 11, left + 300, draws, letters, [WHITE])
        for button in range(5):
            at = left + 20 + button * 150
            if at + 130 < left + width:
                look = slope(0xFFFFFF, 0xC8CCD4, np.arange(30), 30)[:, None]
                picture[top + 52 : top + 82, at : at + 130] = look
                write_line(picture, at + 12, top + 60, at + 110, draws, letters, [INK])
        for line in range(top + 100, top + height - 60, LINE * 2):
            write_line(picture, left + 24, line, left + draws.among(200, width - 30), draws, letters, [INK])
        columns = np.arange(width - 48)
        picture[top + height - 40 : top + height - 22, left + 24 : left + width - 24] = slope(
            0x73D216, 0xCC0000, columns, width - 48
        )[None]
    return picture.astype(np.uint8)


def smooth(seed: int, cell: int) -> np.ndarray:
    """Noise of 0 to 255 that changes over about `cell` pixels."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    column, row, right, down = x // cell, y // cell, x % cell, y % cell

    def corner(to_right: int, to_down: int) -> np.ndarray:
        return (mixed(seed, column + to_right, row + to_down) & np.uint32(255)).astype(np.int64)

    upper = corner(0, 0) * (cell - right) + corner(1, 0) * right
    lower = corner(0, 1) * (cell - right) + corner(1, 1) * right
    return (upper * (cell - down) + lower * down) // (cell * cell)


def photo() -> np.ndarray:
    """Like a photograph: light over several scales, edges of things in front of each other, noise of a sensor."""
    draws = Draws(SEED + 3)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    cells = ((256, 6), (64, 4), (32, 3), (16, 2), (8, 1))
    light = sum(weight * smooth(SEED + 10 + cell, cell) for cell, weight in cells) // 16
    picture = np.empty((HEIGHT, WIDTH, 3), np.int64)
    for channel in range(3):
        picture[..., channel] = (3 * light + smooth(SEED + 400 + channel, 200)) // 4
    for _ in range(40):
        middle_x, middle_y, size = draws.below(WIDTH), draws.below(HEIGHT), draws.among(20, 160)
        inside = (x - middle_x) ** 2 + 2 * (y - middle_y) ** 2 < size * size
        shift = bgr(draws.below(1 << 24)) - 128
        picture[inside] = (2 * picture[inside] + (light[inside][:, None] + shift)) // 3
    grain = mixed(SEED + 500, x, y)
    for channel in range(3):
        picture[..., channel] += (grain >> np.uint32(8 * channel) & np.uint32(7)).astype(np.int64) % 5 - 2
    return picture.clip(0, 255).astype(np.uint8)


def noise() -> np.ndarray:
    """Every bit random."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    bits = mixed(SEED + 600, x, y)
    return np.stack([(bits >> np.uint32(8 * channel)).astype(np.uint8) for channel in range(3)], axis=-1)


PICTURES = {"UI text": ui_text, "gradient UI": ui_gradient, "photo-like": photo, "noise": noise}


def rows(picture: np.ndarray, kind: str) -> bytes:
    """The picture as rows of a type of pixels; alpha is the lightness of a pixel where that is below one half."""
    if kind == "RGB24":
        return picture.tobytes()
    if kind == "RGB16":
        blue, green, red = (picture[..., channel].astype(np.uint16) >> 3 for channel in range(3))
        return (red << 10 | green << 5 | blue).astype("<u2").tobytes()
    fourth = np.zeros(picture.shape[:2], np.uint8)
    if kind == "RGBA":
        light = picture.astype(np.uint16).sum(-1) // 3
        fourth[:] = np.where(light < 128, light * 2, 255)
    if kind == "A8":
        return (picture.astype(np.uint16).sum(-1) // 3).astype(np.uint8).tobytes()
    return np.concatenate([picture, fourth[..., None]], axis=-1).tobytes()


def never_seen(name: str, number: int) -> np.ndarray:
    """A picture like `PICTURES[name]` with other content, one for each number from 1."""
    global SEED
    first, SEED = SEED, SEED + 10_000 * number
    try:
        return PICTURES[name]()
    finally:
        SEED = first
