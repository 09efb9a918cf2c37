"""Differences of colours, also for readers with colour vision deficiencies."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

# Linear RGB as seen without one kind of cone: Machado, Oliveira and Fernandes 2009, "A Physiologically-based
# Model for Simulation of Color Vision Deficiency", severity 1.0.
VISIONS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
WHITE = "#FFFFFF"

_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_D65 = (0.95047, 1.0, 1.08883)

Triple = tuple[float, float, float]


class ColourPair(NamedTuple):
    """Two names, and the distance (CIEDE2000) of their colours for a kind of vision."""

    distance: float
    first: str
    second: str
    vision: str


def to_rgb(colour: str) -> Triple:
    """Convert `#RRGGBB` to sRGB components, 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def blend(colour: str, opacity: float, ground: str = WHITE) -> str:
    """Return the colour of a layer of `colour` on `ground`, as a browser mixes them."""
    mixed = (opacity * a + (1 - opacity) * b for a, b in zip(to_rgb(colour), to_rgb(ground), strict=True))
    return "#" + "".join(f"{round(255 * value):02X}" for value in mixed)


def _linear(colour: str) -> Triple:
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour))
    return red, green, blue


def _times(matrix: tuple[tuple[float, float, float], ...], vector: Triple) -> Triple:
    x, y, z = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z


def relative_luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2, 0 to 1."""
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))


def contrast_ratio(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2, 1 to 21."""
    low, high = sorted((relative_luminance(one), relative_luminance(other)))
    return (high + 0.05) / (low + 0.05)


def to_lab(colour: str, vision: str = "normal") -> Triple:
    """Convert a colour to CIE L*a*b* (D65), as seen with a kind of vision, a key of :data:`VISIONS`."""
    seen = _times(VISIONS[vision], _linear(colour))
    clipped = (min(max(seen[0], 0), 1), min(max(seen[1], 0), 1), min(max(seen[2], 0), 1))
    x, y, z = (
        v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116
        for v in (value / white for value, white in zip(_times(_XYZ, clipped), _D65, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(one: Triple, other: Triple) -> float:
    """Return the difference of two colours in CIE L*a*b* (Sharma, Wu and Dalal 2005); about 2 is just noticeable."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = ((math.hypot(a1, b1) + math.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - math.sqrt(mean / (mean + 25**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = math.degrees(math.atan2(b1, a1)) % 360, math.degrees(math.atan2(b2, a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    if c1 * c2 and h2 - h1 == 180:
        turn = 180.0
    dl, dc, dh = l2 - l1, c2 - c1, 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = h1 + h2
    if c1 * c2:
        hue = hue / 2 if abs(h1 - h2) <= 180 else (hue + 360) / 2 if hue < 360 else (hue - 360) / 2
    t = 1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.20 * _cos(4 * hue - 63)
    sl = 1 + 0.015 * (light - 50) ** 2 / math.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = -2 * math.sqrt(chroma**7 / (chroma**7 + 25**7))
    rotation *= math.sin(math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2))))
    return math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rotation * (dc / sc) * (dh / sh))


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def find_closest_pair(colours: Mapping[str, str], vision: str) -> ColourPair | None:
    """Return the two most similar of `colours` (`#RRGGBB` by name); None if there are fewer than two."""
    seen = {name: to_lab(colour, vision) for name, colour in colours.items()}
    pairs = (ColourPair(ciede2000(seen[a], seen[b]), a, b, vision) for a, b in itertools.combinations(seen, 2))
    return min(pairs, default=None)
