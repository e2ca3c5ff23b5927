"""The figures of a study, as SVG files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.results import Measured
from quantmis.stats import Estimate
from quantmis.studies.outcome import Outcome, QuantizerOutcome

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
COLUMNS = 4


def indicator_against_attack(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw r_Q and security by theory against what LiRA finds, a point for each quantizer of each problem."""
    members = sorted({each.members for each in outcomes})
    figure, (left, right) = _panels(1, 2, (9, 4))
    for n, colour in zip(members, COLOURS, strict=False):
        some = [each for outcome in outcomes if outcome.members == n for each in outcome.quantizers]
        _points(left, some, lambda each: each.indicator, colour, f"n = {n:,}")
        _points(right, some, lambda each: each.security, colour, f"n = {n:,}")
    left.set(
        xscale="log", xlabel="indicator r_Q", ylabel="AUC of adaptive LiRA", title="The indicator against the attack"
    )
    right.set(xlabel="membership inference security by theory", title="Security against the attack")
    left.legend(frameon=False)
    _save(figure, path)


def fronts(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw utility against what LiRA finds, a panel for each task: quantizers, each the mean over embedders."""
    tasks = list(dict.fromkeys(each.cluster for each in outcomes))
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    figure, panels = _panels(rows, columns, (3 * columns, 3 * rows + 0.8))
    flat = np.ravel(panels)
    for panel, task in zip(flat, tasks, strict=False):
        _front(panel, [each for each in outcomes if each.cluster == task], task)
    for panel in flat[len(tasks) :]:
        panel.remove()
    handles, labels = flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    _save(figure, path)


def _front(panel: Any, outcomes: Sequence[Outcome], task: str) -> None:
    for index, each in enumerate(outcomes[0].quantizers):
        same = [outcome.of(each.name) for outcome in outcomes]
        x, y = (float(np.mean([value(one) for one in same])) for value in (_exposure, _utility))
        marker = "o" if index < len(COLOURS) else "^"
        panel.plot(x, y, marker, ms=5, color=COLOURS[index % len(COLOURS)], label=each.name)
    panel.set(title=task, xlabel="AUC of adaptive LiRA", ylabel=outcomes[0].metric.upper())
    if outcomes[0].metric == "mae":
        panel.invert_yaxis()


def _points(
    panel: Any,
    quantizers: Sequence[QuantizerOutcome],
    across: Callable[[QuantizerOutcome], Measured],
    colour: str,
    label: str,
) -> None:
    pairs = [(found.value, each.lira.value) for each in quantizers if isinstance(found := across(each), Estimate)]
    panel.plot(*zip(*pairs, strict=True), "o", ms=3, color=colour, label=label)


def _exposure(quantizer: QuantizerOutcome) -> float:
    return quantizer.lira.value


def _utility(quantizer: QuantizerOutcome) -> float:
    return quantizer.utility.value


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns)
    for panel in np.ravel(panels):
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _save(figure: Any, path: Path) -> None:
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
