"""Which figures the report shows, of what, and what they say in words to those who cannot see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from quantmis.report import charts, exposed, reading, words
from quantmis.report.charts import Axis, Line, Mark, Series
from quantmis.report.reading import Place, adaptive, foremost, places, smallest_rate
from quantmis.report.svg import Styles
from quantmis.report.tables import role
from quantmis.results import AttackMetrics, Measured, Results
from quantmis.stats import Estimate

MOST_PANELS, MOST_CURVES = 6, 8
RIGHT = Axis("An attacker is right (further left: gives away less)", share=True)


@dataclass(frozen=True)
class Figure:
    """Hold the SVG of a figure and its caption; where nothing could be drawn, no `svg` and the caption says why."""

    svg: str
    caption: str


def front(results: Results, styles: Styles) -> Figure:
    """Draw what each version gives away against what it is worth."""
    listed = places(results)
    marks = [
        Mark(place.position, place.record.name, role(place), place.attacker, place.record.utility)
        for place in listed
        if isinstance(place.attacker, Estimate) and isinstance(place.record.utility, Estimate)
    ]
    if not marks:
        return Figure("", "How often an attacker is right, and utility, were measured together for no version.")
    metric = reading.metric(results.quantizers)
    up = Axis(f"{charts.ascii_only(words.plainly(metric))} (higher is better)", share=words.is_share(metric))
    heading = f"How often an attacker is right against {words.plainly(metric)}, {_counted(marks, listed)}"
    caption = (
        "Up and to the left is better: more useful, less given away. Bars are "
        f"{words.percent(results.config.level)} intervals. Numbers are those of the ranking below. {_shapes()}"
    )
    return Figure(charts.scatter("front", heading, marks, RIGHT, up, styles), caption)


def _counted(marks: Sequence[Mark], listed: Sequence[Place]) -> str:
    left = len(listed) - len(marks)
    return (
        f"{len(marks)} versions" + (f" ({left} not measured)" if left else "") + "; the ranking table has the numbers"
    )


def _shapes() -> str:
    return "Diamonds: the least exposed. Square: full precision."


def indicator(results: Results, styles: Styles) -> Figure:
    """Draw the indicator of the theory against what the attacks achieved."""
    marks = [
        Mark(place.position, place.record.name, role(place), place.record.indicator, place.attacker)
        for place in places(results)
        if isinstance(place.attacker, Estimate) and _resolved(place.record.indicator)
    ]
    if not marks:
        return Figure("", "The indicator was resolved for no version; the section on what was not tested says why.")
    lowest, highest = min(mark.x.low for mark in marks), max(mark.x.high for mark in marks)
    across = Axis("Indicator r_Q (further right: predicted to give away less)", log=0 < 10 * lowest < highest)
    up = Axis("An attacker is right", share=True)
    heading = f"Indicator r_Q against how often an attacker is right, {len(marks)} versions"
    caption = (
        "Where the indicator predicts the attacks, points fall from the upper left to the lower right. "
        f"Numbers are those of the ranking. {_shapes()}{_bounds_only(results, len(marks))}"
    )
    return Figure(charts.scatter("indicator", heading, marks, across, up, styles), caption)


def _resolved(found: Measured) -> TypeGuard[Estimate]:
    """Return whether a quantity has a value rather than a bound alone, which would be drawn where it is not."""
    return isinstance(found, Estimate) and not found.reason


def _bounds_only(results: Results, drawn: int) -> str:
    left = len(results.quantizers) - drawn
    return f" {left} of {len(results.quantizers)} versions, not resolved, are left out." if left else ""


def security(results: Results, styles: Styles) -> Figure:
    """Draw membership inference security as the theory computes it against what the attacks achieved."""
    marks = [
        Mark(place.position, place.record.name, role(place), place.record.security, place.attacker)
        for place in places(results)
        if isinstance(place.attacker, Estimate) and _resolved(place.record.security)
    ]
    if not marks:
        return Figure("", "MIS was resolved for no version; the section on what was not tested says why.")
    across = Axis("MIS by theory (further right: predicted to give away less)")
    heading = f"MIS by theory against how often an attacker is right, {len(marks)} versions"
    caption = (
        "MIS by theory holds for a training that always finds the best of the models reached. An attacker may be right "
        "1 \u2212 MIS/2 of the time at most; where the attacks did better, that assumption "
        f"does not hold and the attacks lead.{_bounds_only(results, len(marks))}"
    )
    up = Axis("An attacker is right", share=True)
    return Figure(charts.scatter("security", heading, marks, across, up, styles), caption)


def classes(results: Results, styles: Styles) -> Figure:
    """Draw how well members are told from non-members within each class."""
    found, labels = exposed.by_class(results), exposed.shown_classes(results)
    roles = {place.record.name: role(place) for place in places(results)}
    series = [
        Series(name, roles[name], {label: auc for label, auc in of_class.items() if isinstance(auc, Estimate)})
        for name, of_class in found.items()
    ]
    if not any(each.values for each in series):
        return Figure("", exposed.without_classes(results) or "No class has members and non-members enough.")
    heading = f"AUC of the foremost attack within each of {len(labels)} classes; the table has the numbers"
    up = Axis("AUC within the class")
    return Figure(charts.strips("classes", heading, series, labels, up, styles), "Bars are intervals; 0.5 is a coin.")


def rocs(results: Results, styles: Styles) -> list[tuple[str, Figure]]:
    """Draw a panel of ROC curves per attack, the foremost attack first, for as many as fit on a page."""
    names = list(dict.fromkeys(name for record in results.quantizers for name in record.attacks))
    first = sorted(names, key=lambda name: name != foremost(results))[:MOST_PANELS]
    return [(words.clean(name), _panel(results, name, index, styles)) for index, name in enumerate(first)]


def _panel(results: Results, attack: str, index: int, styles: Styles) -> Figure:
    found = [(place, adaptive(place.record, attack)) for place in places(results)]
    measured = [(place, each) for place, each in found if isinstance(each, AttackMetrics)]
    if not measured:
        return Figure("", f"{words.clean(attack)} was measured against no version.")
    lines = [Line(role(place), each.roc) for place, each in _spread(measured)]
    resolved = max(smallest_rate(each) for _, each in measured)
    heading = f"ROC curves of {words.clean(attack)} against {len(lines)} versions, logarithmic axes"
    return Figure(charts.curves(f"roc-{index}", heading, lines, resolved, styles), _drawn(len(lines), len(measured)))


def _drawn(lines: int, measured: int) -> str:
    return "" if lines == measured else f"{lines} of {measured} versions are drawn."


def _spread(measured: Sequence[tuple[Place, AttackMetrics]]) -> list[tuple[Place, AttackMetrics]]:
    """Keep the first, the last, full precision and an even choice of the others, `MOST_CURVES` and two at most."""
    step = -(-len(measured) // MOST_CURVES)
    last = len(measured) - 1
    return [
        each for index, each in enumerate(measured) if index % step == 0 or index == last or role(each[0]) == "baseline"
    ]
