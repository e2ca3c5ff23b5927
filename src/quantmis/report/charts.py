"""The figures of the report: privacy against utility, ROC curves, indicator against attack.

Figures are drawn with matplotlib's object interface, in colours that stand for roles (`quantmis.report.svg`), and
shape repeats what colour says: a square is full precision, a diamond the least exposed, a circle any other version.
Points carry the number of their row in the ranking table, and their name where there is room for all names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from quantmis.report.labels import Box, arrange
from quantmis.report.reading import COIN
from quantmis.report.svg import COLOUR, Styles, drawing, inline
from quantmis.report.words import clean, percent, significant, title
from quantmis.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW, PANEL = (760, 440), (350, 350), (340, 320)
MARKER = {"baseline": ("s", "ink"), "leader": ("D", "good"), "other": ("o", "accent")}
DOTTED = (0, (2, 3))
TINY = 1e-12
"""What is smaller, or larger than its inverse, is not drawn apart on a logarithmic axis."""

LETTER = 5.6
"""Points that a letter of the labels takes at most, on average."""


@dataclass(frozen=True)
class Mark:
    """Hold one version as a point: its number in the ranking, its name, its `role`, and two estimates."""

    number: int
    name: str
    role: str
    x: Estimate
    y: Estimate


@dataclass(frozen=True)
class Axis:
    """Hold what is said along an axis; `share` writes its numbers in per cent, `log` spaces them by factors.

    `perplexity` writes log-likelihoods as the perplexities that they mean.
    """

    label: str
    share: bool = False
    log: bool = False
    perplexity: bool = False


def scatter(name: str, heading: str, marks: Sequence[Mark], across: Axis, up: Axis, styles: Styles) -> str:
    """Draw points with intervals on both axes, once for wide and once for narrow pages; the page shows one of them."""
    sizes = {"wide": WIDE, "narrow": NARROW}
    return "".join(_scatter(f"{name}-{size}", heading, marks, across, up, styles, size, sizes[size]) for size in sizes)


def single(name: str, heading: str, marks: Sequence[Mark], across: Axis, up: Axis, styles: Styles) -> str:
    """Draw points with intervals on both axes once, in a size that fits every page."""
    return _scatter(name, heading, marks, across, up, styles, "panel", NARROW)


def description(marks: Sequence[Mark], across: Axis, up: Axis) -> str:
    """Say in words which points lie farthest out, for those who cannot see them."""
    ends = dict.fromkeys([min(marks, key=lambda mark: mark.x.value), max(marks, key=lambda mark: mark.x.value)])
    ends |= dict.fromkeys(mark for mark in marks if mark.role != "other")
    parts = [f"{title(mark.name)}: {_spoken(mark.x, across)} across, {_spoken(mark.y, up)} up" for mark in [*ends][:5]]
    return f"{across.label} against {up.label}. {'; '.join(parts)}"


def _spoken(estimate: Estimate, axis: Axis) -> str:
    value = math.exp(-estimate.value) if axis.perplexity else estimate.value
    return percent(value, 1) if axis.share else significant(value)


def _scatter(
    name: str,
    heading: str,
    marks: Sequence[Mark],
    across: Axis,
    up: Axis,
    styles: Styles,
    css_class: str,
    size: tuple[int, int],
) -> str:
    with drawing(name):
        figure, axes = blank(size, left=58, bottom=46)
        axes.grid(True)
        for role in reversed(MARKER):
            _points(axes, [mark for mark in marks if mark.role == role], role)
        _scale(axes, across, up, marks)
        coin_boxes = _coin(axes) if across.share else []
        _label(figure, axes, marks, css_class == "wide", coin_boxes)
        return inline(figure, heading, styles, css_class, description(marks, across, up))


def blank(size: tuple[int, int], left: int, bottom: int, top: int = 12) -> "tuple[Figure, Axes]":
    """Return an empty figure of this size in points, and its axes between these margins."""
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + 22) / width, 1 - (bottom + top) / height))
    axes.set_axisbelow(True)
    return figure, axes


def _points(axes: "Axes", marks: Sequence[Mark], role: str) -> None:
    """Draw the intervals of all versions of one role as one broken line, their values as one line of markers."""
    shape, colour = MARKER[role]
    across = [(mark.x.low, mark.y.value, mark.x.high, mark.y.value) for mark in marks]
    up = [(mark.x.value, mark.y.low, mark.x.value, mark.y.high) for mark in marks]
    bars = np.array(across + up).reshape(-1, 2, 2)
    broken = np.concatenate([bars, np.full((len(bars), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    axes.plot(*broken.T, color=COLOUR[colour], linewidth=1)
    values = np.array([(mark.x.value, mark.y.value) for mark in marks]).reshape(-1, 2)
    axes.plot(*values.T, shape, color=COLOUR[colour], markersize=7.5, markeredgecolor=COLOUR["paper"])


def _scale(axes: "Axes", across: Axis, up: Axis, marks: Sequence[Mark]) -> None:
    axes.set(xscale="log" if across.log else "linear", yscale="log" if up.log else "linear")
    axes.set(xlim=_limits(across, [mark.x for mark in marks]), ylim=_limits(up, [mark.y for mark in marks]))
    axes.minorticks_off()
    write_along(axes, across, up)
    for side, axis in ((axes.xaxis, across), (axes.yaxis, up)):
        _tick(axes, side, axis)


def _tick(axes: "Axes", side: Any, axis: Axis) -> None:
    """Space the numbers along an axis so that they do not run into each other."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    length = axes.get_window_extent().width if side is axes.xaxis else axes.get_window_extent().height
    room = int(length // (64 if side is axes.xaxis else 44))
    low, high = map(float, side.get_view_interval())
    even = MaxNLocator(nbins=max(2, room), steps=[1, 2, 5, 10])
    if axis.perplexity:
        ticks = [-math.log(each) for each in _decades(math.exp(-high), math.exp(-low), max(2, room))]
        side.set_major_locator(FixedLocator(ticks) if len(ticks) > 1 else even)
    else:
        side.set_major_locator(FixedLocator(_decades(low, high, max(2, room))) if axis.log else even)


def _decades(low: float, high: float, most: int) -> list[float]:
    """Return up to `most` round numbers between two, evenly spaced by factors as far as that goes."""
    powers, places = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1), list[float]()
    for digits in ((1, 2, 5), (1, 3), (1,)):
        places = [place for power in powers for digit in digits if low <= (place := digit * 10.0**power) <= high]
        if len(places) <= most:
            return places
    return places[:: -(-len(places) // most)]


def _limits(axis: Axis, ends: Sequence[Estimate]) -> tuple[float, float]:
    low, high = min(end.low for end in ends), max(end.high for end in ends)
    if axis.log:
        return max(low, TINY) / 1.4, min(high, 1 / TINY) * 1.4
    margin = 0.06 * ((high - low) or abs(high) or 1)
    return low - margin, high + margin


def write_along(axes: "Axes", across: Axis, up: Axis) -> None:
    """Write what is along the axes, and their numbers."""
    for side, axis in ((axes.xaxis, across), (axes.yaxis, up)):
        side.set_label_text(axis.label, parse_math=False)
        side.set_major_formatter(_per_cent if axis.share else _perplexity if axis.perplexity else _plain)


def _per_cent(value: float, position: float) -> str:
    return f"{100 * value:.4g} %"


def _perplexity(value: float, position: float) -> str:
    return f"{math.exp(-value):.3g}"


def _plain(value: float, position: float) -> str:
    return f"{value:.3g}"


def _coin(axes: "Axes") -> list[Box]:
    """Draw where a coin is, and return the box of its label."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, COIN - 0.03 * (high - COIN)), high)
    axes.axvline(COIN, color=COLOUR["muted"], linewidth=1, linestyle=DOTTED)
    axes.text(
        COIN, 0.01, "\N{NO-BREAK SPACE}a coin", transform=axes.get_xaxis_transform(), fontsize=9, color=COLOUR["muted"]
    )
    x, y = axes.get_xaxis_transform().transform((COIN, 0.01))
    return [Box(float(x) + 19, float(y) + 6, 38, 13)]


def _label(figure: "Figure", axes: "Axes", marks: Sequence[Mark], names: bool, coin_boxes: Sequence[Box]) -> None:
    points = [_box(axes, mark, 11) for mark in marks]
    bars = [bar for mark in marks for bar in _bars(axes, mark)]
    x, y, width, height = map(float, axes.get_window_extent().bounds)
    area = Box(x + width / 2, y + height / 2, width, height)
    titles, numbered = [_numbered_title(mark) for mark in marks], [str(mark.number) for mark in marks]
    wordings = ([titles] if names else []) + [numbered]
    blocked = ([*bars, *coin_boxes], coin_boxes)
    tries = [(texts, nearest, clear) for texts in wordings for nearest in (True, False) for clear in blocked]
    for texts, nearest, obstacles in tries:
        placed = arrange(points, [(LETTER * len(text) + 4, 13) for text in texts], area, obstacles, nearest)
        if placed is not None:
            return _write(figure, points, placed, texts, always=not nearest)
    return None  # not even the numbers find room; the table tells which version is where


def _box(axes: "Axes", mark: Mark, size: float) -> Box:
    x, y = axes.transData.transform((mark.x.value, mark.y.value))
    return Box(float(x), float(y), size, size)


def _bars(axes: "Axes", mark: Mark) -> list[Box]:
    (left, low), (right, high) = axes.transData.transform([(mark.x.low, mark.y.low), (mark.x.high, mark.y.high)])
    middle = _box(axes, mark, 1)
    across = Box(float(left + right) / 2, middle.y, float(right - left), 1)
    return [across, Box(middle.x, float(low + high) / 2, 1, float(high - low))]


def _numbered_title(mark: Mark) -> str:
    return f"{mark.number} {ascii_only(title(mark.name))}"


def ascii_only(name: str) -> str:
    """Return a name in letters that every font has; the table has the name in full."""
    return clean(name, 34).encode("ascii", "replace").decode()


def _write(figure: "Figure", points: Sequence[Box], placed: Sequence[Box], texts: Sequence[str], always: bool) -> None:
    """Write labels, joined to their points by a line where they stand far away, or `always`."""
    from matplotlib.lines import Line2D

    for point, box, text in zip(points, placed, texts, strict=True):
        near_x = min(max(point.x, box.x - box.width / 2), box.x + box.width / 2)
        near_y = min(max(point.y, box.y - box.height / 2), box.y + box.height / 2)
        if always or (near_x - point.x) ** 2 + (near_y - point.y) ** 2 > 15**2:
            figure.add_artist(
                Line2D([point.x, near_x], [point.y, near_y], transform=None, color=COLOUR["muted"], linewidth=0.6)
            )
        x, y = figure.transFigure.inverted().transform((box.x, box.y))
        figure.text(x, y, text, ha="center", va="center_baseline", fontsize=9.5, parse_math=False)


def legend(axes: "Axes", **where: Any) -> None:
    """Write what the lines and markers stand for, each once."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), fontsize=9, frameon=False, handlelength=1.8, **where)
