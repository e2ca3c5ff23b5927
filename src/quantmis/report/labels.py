"""Where labels go so that none covers a point or another label.

A label tries the places around its point, near ones first. If one of the labels finds no free place the caller gets
nothing, and takes shorter labels.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

DIRECTIONS = 16
CLEARLY = 1.3
"""How many times nearer a label must be to its own point than to any other."""

DISTANCES = (9, 14, 20, 28, 38, 50, 66, 84, 104)


class Box(NamedTuple):
    """Hold a rectangle by its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    def within(self, area: "Box") -> bool:
        """Return whether the rectangle lies inside `area`."""
        return (
            abs(self.x - area.x) * 2 <= area.width - self.width
            and abs(self.y - area.y) * 2 <= area.height - self.height
        )


def arrange(
    points: Sequence[Box],
    sizes: Sequence[tuple[float, float]],
    area: Box,
    obstacles: Sequence[Box] = (),
    nearest: bool = False,
) -> list[Box] | None:
    """Return a place for a label of each size near its point, None where one of them finds no room.

    Labels keep clear of all points, of each other and of further `obstacles`; with `nearest` no label is nearer to
    another point than to its own.

    >>> arrange([Box(50, 50, 6, 6)], [(30, 10)], Box(50, 50, 100, 100))
    [Box(x=74.0, y=50.0, width=30, height=10)]
    """
    placed: list[Box] = []
    middles = np.array([point[:2] for point in points], dtype=float).reshape(-1, 2)
    for index, (point, size) in enumerate(zip(points, sizes, strict=True)):
        boxes = np.array([*points, *placed, *obstacles], dtype=float)
        free = (
            box
            for box in _around(point, size)
            if box.within(area) and _is_free(box, boxes) and (not nearest or _is_nearest(box, index, middles))
        )
        if (box := next(free, None)) is None:
            return None
        placed.append(box)
    return placed


def _is_free(box: Box, boxes: Float[np.ndarray, "boxes 4"]) -> bool:
    apart = 2 * np.abs(boxes[:, :2] - box[:2]) >= boxes[:, 2:] + box[2:]
    return bool(apart.any(axis=1).all())


def _is_nearest(box: Box, own: int, points: Float[np.ndarray, "points 2"]) -> bool:
    """Return whether a label is clearly nearer to its own point than to any other."""
    apart = np.maximum(np.abs(points - np.array(box[:2])) - np.array(box[2:]) / 2, 0.0)
    away = np.hypot(*apart.T)
    others = np.delete(away, own)
    return not len(others) or bool(away[own] * CLEARLY <= others.min())


def _around(point: Box, size: tuple[float, float]) -> Iterator[Box]:
    width, height = size
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            angle = 2 * math.pi * step / DIRECTIONS
            across, up = round(math.cos(angle), 6), round(math.sin(angle), 6)
            yield Box(point.x + across * (distance + width / 2), point.y + up * (distance + height / 2), width, height)
