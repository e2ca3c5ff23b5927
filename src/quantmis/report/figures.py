"""Which figures the report shows, of what, and what they say in words to those who cannot see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from quantmis.measures.indicator import INDICATOR
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.security import SECURITY
from quantmis.measures.utility import UTILITY
from quantmis.report import charts, exposed, lines, reading, words
from quantmis.report.charts import Axis, Mark
from quantmis.report.lines import Line, Series
from quantmis.report.reading import Place, adaptive, lead_attack, places, smallest_rate
from quantmis.report.svg import Styles
from quantmis.report.tables import role
from quantmis.results import AttackMetrics, Measured, Results
from quantmis.stats import Estimate

Numbers = Mapping[str, int]
MOST_PANELS, MOST_CURVES = 6, 7
RIGHT = Axis("An attacker is right (further left: gives away less)", share=True)


@dataclass(frozen=True)
class Figure:
    """Hold the SVG of a figure and its caption; where nothing could be drawn, no `svg` and the caption says why."""

    svg: str
    caption: str


def front(results: Results, styles: Styles, name: str = "front", number: Numbers | None = None) -> Figure:
    """Draw what each version gives away against what it is worth."""
    listed = places(results, number)
    marks = [
        Mark(place.position, place.record.name, role(place), place.attacker, utility)
        for place in listed
        if isinstance(place.attacker, Estimate) and isinstance(utility := place.record[UTILITY], Estimate)
    ]
    if not marks:
        return Figure("", "How often an attacker is right, and utility, were measured together for no version.")
    metric = reading.metric(results.versions)
    up = utility_axis(metric)
    heading = f"How often an attacker is right against {words.plainly(metric)}, {_counted(marks, listed)}"
    caption = (
        "Up and to the left is better: more useful, less given away. Bars are "
        f"{words.percent(results.config.level)} intervals. Numbers are those of the ranking below. {_shapes()}"
    )
    return Figure(charts.scatter(name, heading, marks, RIGHT, up, styles), caption)


def beside(results: Results, view: Results, styles: Styles) -> Figure:
    """Draw how often an attacker is right about the very model against models trained like it."""
    alike = {record.name: reading.attacker(record) for record in results.versions}
    marks = [
        Mark(place.position, place.record.name, role(place), trained, place.attacker)
        for place in places(view, reading.numbers(results))
        if isinstance(trained := alike.get(place.record.name), Estimate) and isinstance(place.attacker, Estimate)
    ]
    if not marks:
        return Figure("", "No version was measured both in this model and in models trained like it.")
    across, up = Axis("Right about models trained like it", share=True), Axis("Right about this very model", share=True)
    heading = f"How often an attacker is right about {len(marks)} versions of it and of models like it"
    caption = (
        "The very model is one draw of the training algorithm: where its bars are long, the models trained like it "
        "tell more."
    )
    return Figure(charts.single("beside", heading, marks, across, up, styles), f"{caption} {_shapes()}")


def utility_axis(metric: str) -> Axis:
    """Return the axis of utility: upwards is better, also where that is a lower perplexity."""
    better = "lower, thus further up, is better" if metric == LOG_LIKELIHOOD else "higher is better"
    label = f"{charts.ascii_only(words.plainly(metric))} ({better})"
    return Axis(label, share=words.is_share(metric), perplexity=metric == LOG_LIKELIHOOD)


def _counted(marks: Sequence[Mark], listed: Sequence[Place]) -> str:
    rest = len(listed) - len(marks)
    return (
        f"{len(marks)} versions" + (f" ({rest} not measured)" if rest else "") + "; the ranking table has the numbers"
    )


def _shapes() -> str:
    return "Diamonds: the least exposed. Square: full precision."


def indicator(results: Results, styles: Styles) -> Figure:
    """Draw the indicator of the theory against what the attacks achieved."""
    marks = [
        Mark(place.position, place.record.name, role(place), rate, place.attacker)
        for place in places(results)
        if isinstance(place.attacker, Estimate) and _resolved(rate := place.record[INDICATOR])
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


def _resolved(quantity: Measured) -> TypeGuard[Estimate]:
    """Return whether a quantity has a value rather than a bound alone, which would be drawn where it is not."""
    return isinstance(quantity, Estimate) and not quantity.reason


def _bounds_only(results: Results, count: int) -> str:
    rest = len(results.versions) - count
    return f" {rest} of {len(results.versions)} versions, not resolved, are left out." if rest else ""


def security(results: Results, styles: Styles) -> Figure:
    """Draw membership inference security as the theory computes it against what the attacks achieved."""
    marks = [
        Mark(place.position, place.record.name, role(place), security_by_flux, place.attacker)
        for place in places(results)
        if isinstance(place.attacker, Estimate) and _resolved(security_by_flux := place.record[SECURITY])
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


def classes(results: Results, styles: Styles, name: str = "classes") -> Figure:
    """Draw how well members are told from non-members within each class."""
    aucs, labels = exposed.by_class(results), exposed.shown_classes(results)
    roles = {place.record.name: role(place) for place in places(results)}
    series = [
        Series(each, roles[each], {label: auc for label, auc in of_class.items() if isinstance(auc, Estimate)})
        for each, of_class in aucs.items()
    ]
    if not any(each.values for each in series):
        return Figure("", exposed.without_classes(results) or "No class has members and non-members enough.")
    heading = f"AUC of the lead attack within each of {len(labels)} classes; the table has the numbers"
    up = Axis("AUC within the class")
    return Figure(lines.strips(name, heading, series, labels, up, styles), "Bars are intervals; 0.5 is a coin.")


def rocs(
    results: Results, styles: Styles, name: str = "roc", most: int = MOST_PANELS, number: Numbers | None = None
) -> list[tuple[str, Figure]]:
    """Draw a panel of ROC curves per attack, the lead attack first, for as many as fit on a page."""
    names = list(dict.fromkeys(name for record in results.versions for name in record.attacks))
    first, listed = sorted(names, key=lambda name: name != lead_attack(results))[:most], places(results, number)
    strokes = _strokes(results)
    return [
        (words.clean(attack), _panel(listed, attack, f"{name}-{index}", strokes, styles))
        for index, attack in enumerate(first)
    ]


def _panel(listed: Sequence[Place], attack: str, name: str, strokes: Mapping[str, str], styles: Styles) -> Figure:
    outcomes = [(place, adaptive(place.record, attack)) for place in listed]
    measured = [(place, each) for place, each in outcomes if isinstance(each, AttackMetrics)]
    if not measured:
        return Figure("", f"{words.clean(attack)} was measured against no version.")
    selection = _spread(measured, strokes)
    curves = [Line(place.record.name, strokes.get(place.record.name, "other"), each.roc) for place, each in selection]
    resolved = max(smallest_rate(each) for _, each in measured)
    heading = f"ROC curves of {words.clean(attack)} against {len(curves)} versions, logarithmic axes"
    return Figure(lines.curves(name, heading, curves, resolved, styles), _selection_note(selection, len(measured)))


def _strokes(results: Results) -> dict[str, str]:
    """Return how the curves that stand out are drawn: full precision, and the versions that the choice is between."""
    names = [record.name for record in exposed.compared(results) if record.name != words.BASELINE]
    return {words.BASELINE: "baseline", **dict(zip(names, ("first", "second"), strict=False))}


def _selection_note(selection: Sequence[tuple[Place, AttackMetrics]], measured: int) -> str:
    """Name the versions that are drawn where not all are, by their numbers in the ranking."""
    if len(selection) == measured:
        return ""
    numbers = words.ranges([place.position for place, _ in selection])
    return f"{len(selection)} of {measured} versions are drawn, by their numbers in the ranking: {numbers}."


def _spread(
    measured: Sequence[tuple[Place, AttackMetrics]], strokes: Mapping[str, str]
) -> list[tuple[Place, AttackMetrics]]:
    """Keep what stands out, the first, the last and an even choice of the others, about `MOST_CURVES`."""
    others = [each for each in measured if each[0].record.name not in strokes]
    step = max(1, -(-len(others) // max(1, MOST_CURVES - len(strokes))))
    choice = [*others[::step], *others[-1:]]
    return [each for each in measured if each[0].record.name in strokes or each in choice]
