"""The figures of the report: privacy against utility, ROC curves, indicator against attack.

Figures are drawn with matplotlib's object interface, in colours that stand for roles (`quantmis.report.svg`), and
shape repeats what colour says: a square is full precision, a diamond the least exposed, a circle any other version.
Points carry the number of their row in the ranking table, and their name where there is room for all names.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from quantmis.report.labels import Box, arrange
from quantmis.report.reading import COIN
from quantmis.report.svg import COLOUR, Styles, drawing, inline
from quantmis.report.words import clean, title
from quantmis.results import Curve
from quantmis.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW, PANEL = (760, 440), (350, 350), (340, 320)
MARKER = {"baseline": ("s", "ink"), "leader": ("D", "good"), "other": ("o", "accent")}
DOTTED = (0, (2, 3))
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
    """Hold what is said along an axis; `share` writes its numbers in per cent, `log` spaces them by factors."""

    label: str
    share: bool = False
    log: bool = False


@dataclass(frozen=True)
class Line:
    """Hold one ROC curve and the role of its version."""

    role: str
    curve: Curve


def scatter(name: str, heading: str, marks: Sequence[Mark], across: Axis, up: Axis, styles: Styles) -> str:
    """Draw points with intervals on both axes, once for wide and once for narrow pages; the page shows one of them."""
    sizes = {"wide": WIDE, "narrow": NARROW}
    return "".join(_scatter(f"{name}-{size}", heading, marks, across, up, styles, size, sizes[size]) for size in sizes)


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
        figure, axes = _blank(size, left=58, bottom=46)
        axes.grid(True)
        for role in reversed(MARKER):
            _points(axes, [mark for mark in marks if mark.role == role], role)
        _scale(axes, across, up, marks)
        if across.share:
            _coin(axes)
        _label(figure, axes, marks, names=css_class == "wide")
        return inline(figure, heading, styles, css_class)


def _blank(size: tuple[int, int], left: int, bottom: int) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + 22) / width, 1 - (bottom + 12) / height))
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
    _write_along(axes, across, up)


def _limits(axis: Axis, ends: Sequence[Estimate]) -> tuple[float, float]:
    low, high = min(end.low for end in ends), max(end.high for end in ends)
    if axis.log:
        return low / 1.4, high * 1.4
    margin = 0.06 * ((high - low) or abs(high) or 1)
    return low - margin, high + margin


def _write_along(axes: "Axes", across: Axis, up: Axis) -> None:
    from matplotlib.ticker import LogLocator

    axes.minorticks_off()
    for side, axis in ((axes.xaxis, across), (axes.yaxis, up)):
        if axis.log:
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_label_text(axis.label, parse_math=False)
        side.set_major_formatter(_per_cent if axis.share else _plain)


def _per_cent(value: float, position: float) -> str:
    return f"{100 * value:.4g} %"


def _plain(value: float, position: float) -> str:
    return f"{value:.3g}"


def _coin(axes: "Axes") -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, COIN - 0.03 * (high - COIN)), high)
    axes.axvline(COIN, color=COLOUR["muted"], linewidth=1, linestyle=DOTTED)
    axes.text(
        COIN, 0.01, "\N{NO-BREAK SPACE}a coin", transform=axes.get_xaxis_transform(), fontsize=9, color=COLOUR["muted"]
    )


def _label(figure: "Figure", axes: "Axes", marks: Sequence[Mark], names: bool) -> None:
    points = [_box(axes, mark, 11) for mark in marks]
    bars = [bar for mark in marks for bar in _bars(axes, mark)]
    x, y, width, height = map(float, axes.get_window_extent().bounds)
    area = Box(x + width / 2, y + height / 2, width, height)
    named, numbered = [_named(mark) for mark in marks], [str(mark.number) for mark in marks]
    for texts, obstacles in [(named, bars), (named, [])] * names + [(numbered, bars), (numbered, [])]:
        placed = arrange(points, [(LETTER * len(text) + 4, 13) for text in texts], area, obstacles)
        if placed is not None:
            return _write(figure, points, placed, texts)
    return None  # not even the numbers find room; the table tells which version is where


def _box(axes: "Axes", mark: Mark, size: float) -> Box:
    x, y = axes.transData.transform((mark.x.value, mark.y.value))
    return Box(float(x), float(y), size, size)


def _bars(axes: "Axes", mark: Mark) -> list[Box]:
    (left, low), (right, high) = axes.transData.transform([(mark.x.low, mark.y.low), (mark.x.high, mark.y.high)])
    middle = _box(axes, mark, 1)
    across = Box(float(left + right) / 2, middle.y, float(right - left), 1)
    return [across, Box(middle.x, float(low + high) / 2, 1, float(high - low))]


def _named(mark: Mark) -> str:
    return f"{mark.number} {ascii_only(title(mark.name))}"


def ascii_only(name: str) -> str:
    """Return a name in letters that every font has; the table has the name in full."""
    return clean(name, 34).encode("ascii", "replace").decode()


def _write(figure: "Figure", points: Sequence[Box], placed: Sequence[Box], texts: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    for point, box, text in zip(points, placed, texts, strict=True):
        near_x = min(max(point.x, box.x - box.width / 2), box.x + box.width / 2)
        near_y = min(max(point.y, box.y - box.height / 2), box.y + box.height / 2)
        if (near_x - point.x) ** 2 + (near_y - point.y) ** 2 > 15**2:
            figure.add_artist(
                Line2D([point.x, near_x], [point.y, near_y], transform=None, color=COLOUR["muted"], linewidth=0.6)
            )
        x, y = figure.transFigure.inverted().transform((box.x, box.y))
        figure.text(x, y, text, ha="center", va="center_baseline", fontsize=9.5, parse_math=False)


def curves(name: str, heading: str, lines: Sequence[Line], resolved: float, styles: Styles) -> str:
    """Draw ROC curves on logarithmic axes; left of the false positive rate `resolved` the data say nothing."""
    with drawing(name):
        figure, axes = _blank(PANEL, left=62, bottom=48)
        low = 10 ** math.floor(math.log10(resolved / 10))  # one decade of what cannot be read is enough to see why
        axes.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1))
        axes.grid(True)
        axes.axvspan(low, resolved, color=COLOUR["shade"], linewidth=0)
        axes.plot([low, 1], [low, 1], color=COLOUR["muted"], linewidth=1, linestyle=DOTTED, label="a coin")
        for line in sorted(lines, key=lambda line: list(MARKER).index(line.role), reverse=True):
            _curve(axes, line, low)
        _write_along(axes, Axis("non-members taken for members", share=True), Axis("members found", share=True))
        _legend(axes)
        return inline(figure, heading, styles, "panel")


def _curve(axes: "Axes", line: Line, low: float) -> None:
    width, dashes = {"baseline": (1.8, "solid"), "leader": (1.8, (0, (6, 2))), "other": (0.8, "solid")}[line.role]
    colour = COLOUR["accent" if line.role == "other" else MARKER[line.role][1]]
    fpr, tpr = np.array(line.curve.fpr), np.array(line.curve.tpr)
    seen = fpr >= low
    label = {"baseline": "full precision", "leader": "least exposed", "other": "other versions"}[line.role]
    axes.plot(fpr[seen], np.maximum(tpr[seen], low), color=colour, linewidth=width, linestyle=dashes, label=label)


def _legend(axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), loc="lower right", fontsize=9, frameon=False, handlelength=1.8)


@dataclass(frozen=True)
class Series:
    """Hold one version over classes: its name, its role, and its estimate in each class where there is one."""

    name: str
    role: str
    values: Mapping[int, Estimate]


def strips(name: str, heading: str, series: Sequence[Series], labels: Sequence[int], up: Axis, styles: Styles) -> str:
    """Draw estimates with intervals beside each other for each label, for wide and for narrow pages."""
    sizes = {"wide": (760, 300), "narrow": NARROW}
    drawn: list[str] = []
    for size, across in sizes.items():
        with drawing(f"{name}-{size}"):
            figure, axes = _blank(across, left=58, bottom=46)
            axes.grid(True, axis="y")
            for index, each in enumerate(series):
                _strip(axes, each, labels, (index - (len(series) - 1) / 2) * 0.3)
            axes.axhline(COIN, color=COLOUR["muted"], linewidth=1, linestyle=DOTTED, label="a coin")
            step = -(-len(labels) // (40 if size == "wide" else 12))
            axes.set(xlim=(-0.8, len(labels) - 0.2), xticks=range(0, len(labels), step))
            axes.set_xticklabels([str(label) for label in labels[::step]])
            axes.set_xlabel("class")
            axes.set_ylabel(up.label)
            _legend(axes)
            drawn.append(inline(figure, heading, styles, size))
    return "".join(drawn)


def _strip(axes: "Axes", series: Series, labels: Sequence[int], shift: float) -> None:
    shape, colour = MARKER[series.role]
    known = [(place + shift, series.values[label]) for place, label in enumerate(labels) if label in series.values]
    bars = [(place, end) for place, each in known for end in (each.low, each.high, math.nan)]
    axes.plot(*np.array(bars).reshape(-1, 2).T, color=COLOUR[colour], linewidth=1)
    values = np.array([(place, each.value) for place, each in known]).reshape(-1, 2)
    label = ascii_only(title(series.name))
    axes.plot(*values.T, shape, color=COLOUR[colour], markersize=6, markeredgecolor=COLOUR["paper"], label=label)
