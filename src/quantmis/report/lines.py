"""Further figures of the report: ROC curves, and estimates beside each other class by class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from quantmis.report.charts import DOTTED, MARKER, NARROW, PANEL, Axis, ascii_only, blank, legend, write_along
from quantmis.report.reading import COIN
from quantmis.report.svg import COLOUR, Styles, drawing, inline
from quantmis.report.words import listing, title
from quantmis.results import Curve
from quantmis.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = (("D", "good"), ("o", "accent"), ("^", "good"), ("v", "accent"))
"""What versions look like that stand beside each other."""

STROKE: dict[str, tuple[float, Any, str]] = {
    "baseline": (1.8, "solid", "ink"),
    "first": (1.8, (0, (6, 2)), "good"),
    "second": (1.8, (0, (6, 2, 1, 2)), "accent"),
    "other": (0.7, "solid", "muted"),
}
"""How the curves of full precision, of the versions that the choice is between, and of others are drawn."""


@dataclass(frozen=True)
class Line:
    """Hold one ROC curve, the name of its version, and the `stroke` that it is drawn with."""

    name: str
    stroke: str
    curve: Curve


def curves(name: str, heading: str, lines: Sequence[Line], resolved: float, styles: Styles) -> str:
    """Draw ROC curves on logarithmic axes; left of the false positive rate `resolved` the data say nothing."""
    with drawing(name):
        figure, axes = blank(PANEL, left=62, bottom=48)
        low = 10 ** math.floor(math.log10(resolved / 10))  # one decade of what cannot be read is enough to see why
        axes.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1))
        axes.grid(True)
        axes.axvspan(low, resolved, color=COLOUR["shade"], linewidth=0)
        axes.plot([low, 1], [low, 1], color=COLOUR["muted"], linewidth=1, linestyle=DOTTED, label="a coin")
        for line in sorted(lines, key=lambda line: list(STROKE).index(line.stroke), reverse=True):
            _curve(axes, line, low)
        axes.minorticks_off()
        write_along(axes, Axis("non-members taken for members", share=True), Axis("members found", share=True))
        legend(axes, loc="lower right")
        description = f"Curves of {listing(list(dict.fromkeys(_named_line(line) for line in lines)))}"
        return inline(figure, heading, styles, "panel", description)


def _curve(axes: "Axes", line: Line, low: float) -> None:
    width, dashes, colour = STROKE[line.stroke]
    fpr, tpr = _reaching(np.array(line.curve.fpr), np.array(line.curve.tpr), low)
    label = _named_line(line)
    axes.plot(fpr, np.maximum(tpr, low), color=COLOUR[colour], linewidth=width, linestyle=dashes, label=label)


def _named_line(line: Line) -> str:
    return ascii_only(title(line.name)) if line.stroke != "other" else "other versions"


def _reaching(
    fpr: Float[np.ndarray, " points"], tpr: Float[np.ndarray, " points"], low: float
) -> tuple[Float[np.ndarray, " drawn"], Float[np.ndarray, " drawn"]]:
    """Return a curve from the false positive rate `low` on: between two of its points it is a straight line."""
    first = fpr[fpr > low].min(initial=1.0)
    across = np.concatenate(
        [np.geomspace(low, first, 12, endpoint=False), fpr[fpr >= first][:: len(fpr) // 40 + 1], [1.0]]
    )
    return across, np.interp(across, fpr, tpr)


@dataclass(frozen=True)
class Series:
    """Hold one version over classes: its name, its role, and its estimate in each class where there is one."""

    name: str
    role: str
    values: Mapping[int, Estimate]


def strips(name: str, heading: str, series: Sequence[Series], labels: Sequence[int], up: Axis, styles: Styles) -> str:
    """Draw estimates with intervals beside each other for each label, for wide and for narrow pages."""
    drawings: list[str] = []
    for size, (width, height) in {"wide": (760, 300), "narrow": NARROW}.items():
        columns = 2 if size == "wide" else 1
        top = 14 + 15 * -(-(len(series) + 1) // columns)
        with drawing(f"{name}-{size}"):
            figure, axes = blank((width, height + top), left=58, bottom=46, top=top)
            axes.grid(True, axis="y")
            for index, (each, looks) in enumerate(zip(series, _looks(series), strict=True)):
                _strip(axes, each, labels, (index - (len(series) - 1) / 2) * 0.7 / max(len(series), 1), looks)
            axes.axhline(COIN, color=COLOUR["muted"], linewidth=1, linestyle=DOTTED, label="a coin")
            step = -(-len(labels) // (40 if size == "wide" else 12))
            axes.set(xlim=(-0.8, len(labels) - 0.2), xticks=range(0, len(labels), step))
            axes.set_xticklabels([str(label) for label in labels[::step]])
            axes.set_xlabel("class")
            axes.set_ylabel(up.label)
            legend(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)
            drawings.append(inline(figure, heading, styles, size, _extremes(series)))
    return "".join(drawings)


def _extremes(series: Sequence[Series]) -> str:
    """Say of each version in which class it is highest and lowest."""
    phrases: list[str] = []
    for each in series:
        order = sorted(each.values, key=lambda label: each.values[label].value)
        ends = [f"class {label} {each.values[label].value:.2f}" for label in dict.fromkeys([*order[:1], *order[-1:]])]
        phrases.append(f"{title(each.name)}: {' to '.join(ends) or 'not measured'}")
    return "; ".join(phrases)


def _looks(series: Sequence[Series]) -> list[tuple[str, str]]:
    """Return the marker and the colour of each version: those of its ROC curve."""
    others = cycle(APART)
    return [MARKER["baseline"] if each.role == "baseline" else next(others) for each in series]


def _strip(axes: "Axes", series: Series, labels: Sequence[int], shift: float, looks: tuple[str, str]) -> None:
    shape, colour = looks
    points = [(place + shift, series.values[label]) for place, label in enumerate(labels) if label in series.values]
    bars = [(place, end) for place, each in points for end in (each.low, each.high, math.nan)]
    axes.plot(*np.array(bars).reshape(-1, 2).T, color=COLOUR[colour], linewidth=1)
    values = np.array([(place, each.value) for place, each in points]).reshape(-1, 2)
    label = ascii_only(title(series.name))
    axes.plot(*values.T, shape, color=COLOUR[colour], markersize=6, markeredgecolor=COLOUR["paper"], label=label)
