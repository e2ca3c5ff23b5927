"""The figures of an audit as matplotlib axes, for notebooks and papers: the same numbers, in the user's own style."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantmis.errors import UserError, require
from quantmis.measures.utility import UTILITY
from quantmis.registry import suggestion
from quantmis.report import reading, words
from quantmis.report.charts import Axis, ascii_only, write_along
from quantmis.report.figures import RIGHT, utility_axis
from quantmis.report.reading import COIN, Place, adaptive, lead, lead_attack, places
from quantmis.results import AttackMetrics, Results
from quantmis.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST = 1e-3
"""Where the axes of ROC curves begin."""


@dataclass(frozen=True)
class Plots:
    """Draw what an audit measured; of an audit of the very model and of models trained like it, the very model.

    Each method draws on `ax`, by default on axes of a new figure, and returns them. Bars are the intervals of the
    audit. Raises `UserError` where matplotlib is not installed, or nothing was measured that could be drawn.
    """

    results: Results

    def front(self, ax: "Axes | None" = None) -> "Axes":
        """Draw how often an attacker is right about each version against what it is worth."""
        view, axes = lead(self.results), _axes(ax)
        points = [
            (place, place.attacker, utility)
            for place in places(view)
            if isinstance(place.attacker, Estimate) and isinstance(utility := place.record[UTILITY], Estimate)
        ]
        require(points, "exposure and utility were measured together for no version")
        for place, right, utility in points:
            across, up = _bars(right), _bars(utility)
            axes.errorbar(right.value, utility.value, up, across, fmt="o", capsize=2, label=_name(place))
        axes.axvline(COIN, linestyle=":", color="grey")
        write_along(axes, RIGHT, utility_axis(reading.metric(view.versions)))
        axes.legend()
        return axes

    def ranking(self, ax: "Axes | None" = None) -> "Axes":
        """Draw how often an attacker is right about each version, from the least exposed down."""
        view, axes = lead(self.results), _axes(ax)
        rows = [(place, place.attacker) for place in places(view) if isinstance(place.attacker, Estimate)]
        require(rows, "how often an attacker is right was measured for no version")
        for height, (_, right) in enumerate(rows):
            axes.errorbar(right.value, height, xerr=_bars(right), fmt="o", capsize=2)
        axes.set_yticks(range(len(rows)), [_name(place) for place, _ in rows])
        axes.invert_yaxis()
        axes.axvline(COIN, linestyle=":", color="grey")
        write_along(axes, RIGHT, Axis(""))
        axes.set_yticklabels([_name(place) for place, _ in rows])
        return axes

    def roc(self, ax: "Axes | None" = None, attack: str | None = None, versions: Sequence[str] | None = None) -> "Axes":
        """Draw the ROC curves of an attack, by default the lead attack, on logarithmic axes.

        `versions`: names of those to draw, by default all.
        """
        view, axes = lead(self.results), _axes(ax)
        names = list(dict.fromkeys(name for record in view.versions for name in record.attacks))
        chosen = attack or lead_attack(view)
        require(chosen in names, f"there is no attack {chosen!r} in this audit", hint=suggestion(str(chosen), names))
        known = [record.name for record in view.versions]
        for name in versions or ():
            require(name in known, f"there is no version {name!r} in this audit", hint=suggestion(name, known))
        curves = [(place, adaptive(place.record, str(chosen))) for place in places(view)]
        measured = [(place, each) for place, each in curves if isinstance(each, AttackMetrics)]
        shown = [(place, each) for place, each in measured if versions is None or place.record.name in versions]
        require(shown, f"{chosen} was measured for none of these versions")
        for place, outcome in shown:
            axes.plot(outcome.roc.fpr, outcome.roc.tpr, label=_name(place))
        axes.plot([LOWEST, 1], [LOWEST, 1], linestyle=":", color="grey")
        axes.set(xscale="log", yscale="log", xlim=(LOWEST, 1), ylim=(LOWEST, 1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate", title=ascii_only(str(chosen)))
        axes.legend()
        return axes


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise UserError("figures need matplotlib", hint="pip install matplotlib") from error
    return pyplot.subplots(layout="constrained")[1]


def _bars(estimate: Estimate) -> list[list[float]]:
    """Return how far the interval reaches below and above the value, as matplotlib takes it."""
    return [[max(estimate.value - estimate.low, 0.0)], [max(estimate.high - estimate.value, 0.0)]]


def _name(place: Place) -> str:
    return ascii_only(words.title(place.record.name))
