"""The figures of a search: what was tried and what was confirmed of it, and what each layer does."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from quantmis.report.charts import DOTTED, LETTER, NARROW, WIDE, Axis, ascii_only, blank, legend, write_along
from quantmis.report.svg import COLOUR, Styles, drawing, inline
from quantmis.report.words import is_share, plainly
from quantmis.search.record import Confirmed, Layer, SearchRecord, Worth
from quantmis.search.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = {"wide": WIDE, "narrow": NARROW}
EXPOSURE = "Predicted advantage of an attacker (further left: gives away less)"
ROOM = 0.25
ROW, MARGIN, LONGEST = 30, 96, 20
"""Points that a layer takes, and those around all of them; letters of its name that are shown, the last."""


def front(record: SearchRecord, styles: Styles) -> str:
    """Draw every candidate, and what became of those that were measured again."""
    heading = f"Exposure against utility: {record.distinct} candidates, {len(record.confirmed)} versions confirmed"
    up = Axis(ascii_only(f"{plainly(record.metric)} (higher is better)"), share=is_share(record.metric))
    return "".join(_front(record, heading, up, styles, each) for each in SIZES)


def _front(record: SearchRecord, heading: str, up: Axis, styles: Styles, size: str) -> str:
    with drawing(f"search-front-{size}"):
        figure, axes = blank(SIZES[size], left=58, bottom=46)
        axes.grid(True)
        inside = [each.worth for each in record.candidates if not each.worth.missed]
        outside = [each.worth for each in record.candidates if each.worth.missed]
        _dots(axes, outside, "line", "misses a limit")
        _dots(axes, inside, "muted", "tried, within the limits")
        best = [each.worth for each in record.candidates if each.quantizer in record.front]
        axes.plot(*_places(best), "o", color=COLOUR["accent"], markersize=5, label="front of the search")
        for number, entry in enumerate(listed(record), 1):
            _confirmed(axes, number, entry, entry.quantizer == record.winner)
        kept = [each.again for each in record.confirmed if not each.missed]
        _limit(axes, [*inside, *best, *kept, record.full_precision])
        write_along(axes, Axis(EXPOSURE if size == "wide" else "Predicted advantage"), up)
        legend(axes, loc="lower right")
        return inline(figure, heading, styles, size, "The tables of the page have the numbers")


def _dots(axes: "Axes", worths: Sequence[Worth], colour: str, label: str) -> None:
    axes.plot(*_places(worths), "o", color=COLOUR[colour], markersize=3, label=label)


def _places(worths: Sequence[Worth]) -> tuple[list[float], list[float]]:
    return [each.exposure.value for each in worths], [each.utility.value for each in worths]


def _confirmed(axes: "Axes", number: int, entry: Confirmed, wins: bool) -> None:
    """Draw a version where it is confirmed, with intervals, joined to where the search saw it."""
    here, colour = entry.again, COLOUR["good" if wins else "ink"]
    x, y = here.exposure.value, here.utility.value
    if entry.searched is not None:
        before = entry.searched
        axes.plot(
            [before.exposure.value, x],
            [before.utility.value, y],
            color=COLOUR["accent"],
            linewidth=0.8,
            linestyle=DOTTED,
        )
    axes.plot([here.exposure.low, here.exposure.high], [y, y], color=colour, linewidth=0.8)
    axes.plot([x, x], [here.utility.low, here.utility.high], color=colour, linewidth=0.8)
    label = "winner, confirmed" if wins else "confirmed, with intervals"
    axes.plot([x], [y], "D" if wins else "s", color=colour, markersize=6, label=label)
    axes.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points", fontsize=9)


def _limit(axes: "Axes", worths: Sequence[Worth]) -> None:
    """Show what keeps the limits, and full precision; what is far below them is left out."""
    for values, limit in (
        (np.array([each.exposure.value for each in worths]), axes.set_xlim),
        (np.array([each.utility.value for each in worths]), axes.set_ylim),
    ):
        low, high = float(values.min()), float(values.max())
        reach = (high - low or 1.0) * ROOM
        limit(low - reach, high + reach)


def layers(record: SearchRecord, styles: Styles) -> str:
    """Draw what is left of exposure and of utility where one layer is quantized, and where all but one are."""
    if not record.layers:
        return ""
    share = is_share(record.metric)
    panels = (
        ("exposure", "Predicted advantage", _exposure, record.full_precision.exposure.value, False),
        ("change", ascii_only(f"Change of {plainly(record.metric)}"), _change, 0.0, share),
    )
    return "".join(_panel(record, *each, styles) for each in panels)


def _exposure(worth: Worth) -> tuple[float, float, float]:
    return worth.exposure.value, worth.exposure.low, worth.exposure.high


def _change(worth: Worth) -> tuple[float, float, float]:
    return worth.change.value, worth.change.low, worth.change.high


def _panel(
    record: SearchRecord,
    name: str,
    label: str,
    numbers: Callable[[Worth], tuple[float, float, float]],
    whole: float,
    share: bool,
    styles: Styles,
) -> str:
    rows = record.layers
    with drawing(f"search-layers-{name}"):
        left = 24 + round(LETTER * max(min(len(each.layer), LONGEST) for each in rows))
        figure, axes = blank((NARROW[0], MARGIN + ROW * len(rows)), left=left, bottom=44, top=34)
        axes.grid(True, axis="x")
        axes.axvline(whole, color=COLOUR["muted"], linewidth=1, linestyle=DOTTED, label="full precision")
        for place, row in enumerate(reversed(rows)):
            _row(axes, place, row, numbers)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        write_along(axes, Axis(label, share=share), Axis(""))
        axes.set_yticks(range(len(rows)), [ascii_only(each.layer)[-LONGEST:] for each in reversed(rows)])
        legend(axes, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, columnspacing=0.8)
        heading = f"{label} by layer, {len(rows)} layers"
        return inline(figure, heading, styles, "panel", "The table of layers has the numbers")


def _row(axes: "Axes", place: int, row: Layer, numbers: Callable[[Worth], tuple[float, float, float]]) -> None:
    shapes = (("o", "accent", 0.12, row.alone, "it alone"), ("D", "ink", -0.12, row.others, "all but it"))
    for shape, colour, shift, worth, label in shapes:
        value, low, high = numbers(worth)
        axes.plot([low, high], [place + shift] * 2, color=COLOUR[colour], linewidth=0.8)
        axes.plot([value], [place + shift], shape, color=COLOUR[colour], markersize=6, label=label)
