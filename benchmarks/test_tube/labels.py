"""Where names stand beside the points of a picture, so that they lie neither on each other nor on the points. Pure.

Names are placed one after the other, each at the first of some places round its point where it covers least; then all
once more, since a name that came later may be in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""

_CHARACTER: Final = 6.4  # pixels of a name, in a wide font of 11
_HEIGHT: Final = 16.0
_DOT: Final = 5.0
_AWAY: Final = (8.0, 20.0)
_ROUNDS: Final = 4
_SIDES: Final = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))


def placed(points: Mapping[str, Point], width: float, height: float) -> dict[str, Point]:
    """The left end and the middle height of each name, in pixels, as the points are; y grows downwards.

    A name keeps within ``width`` and ``height`` where it can.
    """
    dots = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points.values()]
    found: dict[str, Box] = {}
    for _ in range(_ROUNDS):
        for name, (x, y) in sorted(points.items(), key=lambda one: (one[1], one[0])):
            taken = [*dots, *(box for other, box in found.items() if other != name)]
            found[name] = _best(name, (x, y), taken, (0.0, 0.0, width, height))
    return {name: (box[0], (box[1] + box[3]) / 2) for name, box in found.items()}


def _best(name: str, point: Point, taken: Sequence[Box], picture: Box) -> Box:
    """The first of the places round the point that covers least; what lies outside of the picture counts most."""
    boxes = [_box(*point, len(name) * _CHARACTER, away, side) for away, side in product(_AWAY, _SIDES)]

    def covers(box: Box) -> float:
        outside = (box[2] - box[0]) * (box[3] - box[1]) - _shared(box, picture)
        return sum(_shared(box, other) for other in taken) + 9 * outside

    return min(boxes, key=covers)


def _box(x: float, y: float, size: float, away: float, side: tuple[int, int]) -> Box:
    """The room of a name ``away`` from its point on a side: right and left of it, or above and below its middle."""
    across, down = side
    left = x + away * across - size * {1: 0.0, 0: 0.5, -1: 1.0}[across]
    middle = y + (away + _HEIGHT / 2) * down * (0.6 if across else 0.9)
    return left, middle - _HEIGHT / 2, left + size, middle + _HEIGHT / 2


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0
