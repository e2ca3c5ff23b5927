"""The figures of a study, as SVG files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantmis.results import Measured
from quantmis.stats import Estimate
from quantmis.studies.outcome import LOWER_IS_BETTER, Outcome, QuantizerOutcome

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
COLUMNS = 4
ATTACK, INDICATOR, SECURITY = "AUC of adaptive LiRA", "indicator r_Q", "membership inference security, MIS"

Across = Callable[[QuantizerOutcome], Measured]


def indicator_against_attack(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw r_Q against the attack and against MIS, and MIS by theory against the attack.

    A point is a quantizer of a problem. MIS is known in two ways: by theory (dots) and at most, by the best threshold
    on LiRA's scores (rings).
    """
    members = sorted({each.members for each in outcomes})
    figure, (attack, security, theory) = _panels(1, 3, (13.5, 4.2))
    for n, colour in zip(members, COLOURS, strict=False):
        some = [each for outcome in outcomes if outcome.members == n for each in outcome.quantizers]
        _points(attack, some, _indicator, _lira, colour, f"n = {n:,}")
        _points(security, some, _indicator, _security, colour, f"by theory, n = {n:,}")
        _points(security, some, _indicator, _at_most, colour, f"at most, n = {n:,}", markerfacecolor="none")
        _points(theory, some, _security, _lira, colour, f"n = {n:,}")
    attack.set(xscale="log", xlabel=INDICATOR, ylabel=ATTACK, title="The indicator against the attack")
    security.set(xscale="log", xlabel=INDICATOR, ylabel=SECURITY, title="The indicator against MIS")
    theory.set(xlabel=f"{SECURITY}, by theory", ylabel=ATTACK, title="MIS by theory against the attack")
    for panel in (attack, security):
        panel.legend(frameon=False, fontsize=7)
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
    if outcomes[0].metric in LOWER_IS_BETTER:
        panel.invert_yaxis()


def _points(
    panel: Any,
    quantizers: Sequence[QuantizerOutcome],
    across: Across,
    up: Across,
    colour: str,
    label: str,
    **style: str,
) -> None:
    """Draw the quantizers of which both quantities were measured."""
    pairs = [(across(each), up(each)) for each in quantizers]
    points = [(x.value, y.value) for x, y in pairs if isinstance(x, Estimate) and isinstance(y, Estimate)]
    panel.plot([x for x, _ in points], [y for _, y in points], "o", ms=3, color=colour, label=label, **style)


def _indicator(quantizer: QuantizerOutcome) -> Measured:
    return quantizer.indicator


def _security(quantizer: QuantizerOutcome) -> Measured:
    return quantizer.security


def _lira(quantizer: QuantizerOutcome) -> Measured:
    return quantizer.lira


def _at_most(quantizer: QuantizerOutcome) -> Measured:
    """Return the largest MIS that LiRA's advantage leaves."""
    advantage = quantizer.advantage
    if not isinstance(advantage, Estimate):
        return advantage
    return Estimate(
        1 - advantage.value, 1 - advantage.high, 1 - advantage.low, advantage.level, "1 less the advantage of LiRA"
    )


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
