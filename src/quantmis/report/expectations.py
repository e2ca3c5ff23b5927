"""What an audit answers to the expectations of a framework, a row each: met, not met, undecided, not run, outside.

A test that was asked for is met where it has a number; a limit is met where the whole interval of the worst version
keeps to it, not met where the whole interval lies beyond, and undecided between. No row says what follows from it: no
number of an audit shows that a model is anonymous.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from quantmis.measures import SUBJECTS, Measure, measures_of
from quantmis.measures.most_exposed_samples import SampleExposure
from quantmis.measures.tpr_at_fpr import RateAt
from quantmis.report import tested, words
from quantmis.report.facts import FACTS
from quantmis.report.framework import Expectation, Framework
from quantmis.report.gaps import item_name
from quantmis.report.reading import lead
from quantmis.results import Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

Status = Literal["met", "not met", "undecided", "not run", "outside"]
STATUSES: dict[Status, str] = {
    "met": "met",
    "not met": "not met",
    "undecided": "undecided: the interval does not tell",
    "not run": "not run",
    "outside": "outside this product",
}
CAN_RUN = "quantmis list and the guides say how"


@dataclass(frozen=True)
class ExpectationRow:
    """Hold one expectation, how it stands, and what was found: a number with its interval, a fact, or a reason."""

    expectation: Expectation
    is_original: bool
    status: Status
    finding: str

    @property
    def standing(self) -> str:
        """How it stands, in words."""
        return STATUSES[self.status]


@dataclass(frozen=True)
class MeasuredValue:
    """Hold one number of a measure and what it is about: a version, a class, a record, an attack."""

    about: str
    estimate: Estimate


def rows(framework: Framework, results: Results) -> list[ExpectationRow]:
    """Return a row for each expectation of a framework."""
    return [
        ExpectationRow(each, framework.is_original(each), *_stands(each, results)) for each in framework.expectation
    ]


def summary(framework: Framework, results: Results) -> str:
    """Say in a sentence how the expectations of a framework stand."""
    counts = Counter(row.status for row in rows(framework, results))
    told = [f"{counts[status]} {word.partition(':')[0]}" for status, word in STATUSES.items() if counts[status]]
    return f"{framework.name}: of {len(framework.expectation)} expectations {words.listing(told)}."


def _stands(expectation: Expectation, results: Results) -> tuple[Status, str]:
    if expectation.outside:
        return "outside", expectation.outside
    facts = [FACTS[name](results) for name in expectation.evidence if name in FACTS]
    missing = [fact.reason for fact in facts if isinstance(fact, Unmeasured)]
    if missing:
        return "not met" if "blind_baseline" in expectation.evidence and _differs(missing) else "not run", missing[0]
    names = [name for name in expectation.evidence if name not in FACTS]
    told = [fact for fact in facts if isinstance(fact, str)]
    if not names:
        return "met", "; ".join(told)
    status, finding = _measured(expectation, names, results)
    return status, "; ".join([*told, finding])


def _differs(reasons: list[str]) -> bool:
    return any(reason.startswith("members differ") for reason in reasons)


def _measured(expectation: Expectation, names: list[str], results: Results) -> tuple[Status, str]:
    measures = [measure_called(name) for name in names]
    found = [(measure, worst(measure, results)) for measure in measures]
    known = [(measure, value) for measure, value in found if value is not None]
    if not known or (expectation.limit is not None and found[0][1] is None):
        return _absent(measures, results)
    finding = "; ".join(f"{measure.title}: {_told(measure, value, results)}" for measure, value in known)
    first = found[0][1]
    return ("met" if expectation.limit is None or first is None else _held(expectation, first.estimate)), finding


def _held(expectation: Expectation, estimate: Estimate) -> Status:
    """Hold the whole interval against the limit."""
    limit = expectation.limit
    assert limit is not None  # noqa: S101 for the type checker: whoever calls has one
    if expectation.at_most is not None:
        return "met" if estimate.high <= limit else "not met" if estimate.low > limit else "undecided"
    return "met" if estimate.low >= limit else "not met" if estimate.high < limit else "undecided"


def _absent(measures: list[Measure[Any]], results: Results) -> tuple[Status, str]:
    """Say why there is no number, and what would give one; what has no meaning for the audit lies outside."""
    kinds = [kind for kind in tested.KINDS if any(measure in kind.measures for measure in measures)]
    if kinds and all(kind.of_texts for kind in kinds) and not tested.is_of_texts(results):
        return "outside", "it has no meaning for what was audited: the model says no text"
    reason = next(iter(_reasons(measures, results)), CAN_RUN)
    commands = list(dict.fromkeys(kind.command for kind in kinds))
    return "not run", f"{words.clean(reason, 300)}; to run it: {words.listing(commands) or CAN_RUN}"


def _reasons(measures: list[Measure[Any]], results: Results) -> Iterator[str]:
    for record in lead(results).versions:
        for measure in measures:
            value = record[measure] if measure.subject == "version" else measure.absent
            if isinstance(value, Unmeasured):
                yield value.reason


def measure_called(name: str) -> Measure[Any]:
    """Return the measure of a name, whatever it is about."""
    return next(measures_of(subject)[name] for subject in SUBJECTS if name in measures_of(subject))


def worst(measure: Measure[Any], results: Results) -> MeasuredValue | None:
    """Return the number of a measure that speaks most against the model, by what it is about; None without any."""
    values = list(_values(measure, lead(results)))
    if not values:
        return None
    lower = measure.better != "higher"
    return max(values, key=lambda each: each.estimate.high if lower else -each.estimate.low)


def _values(measure: Measure[Any], results: Results) -> Iterator[MeasuredValue]:
    if measure.subject == "release set":
        for release in results.releases:
            yield from _of(release[measure], f"{len(release.versions)} versions together")
        return
    for record in results.versions:
        name = words.title(record.name)
        if measure.subject == "version":
            yield from _of(record[measure], name)
        else:
            yield from _of_attacks(measure, record, name, results)


def _of_attacks(measure: Measure[Any], record: VersionResult, name: str, results: Results) -> Iterator[MeasuredValue]:
    """Yield the numbers of attacks that an attacker could carry out."""
    for attack, outcome in record.attacks.items():
        description = results.attacks.get(attack)
        if isinstance(outcome.adaptive, Unmeasured) or (description is not None and not description.bounds_security):
            continue
        yield from _of(outcome.adaptive[measure], f"{name} by {words.clean(attack)}")


def _of(value: Any, about: str) -> Iterator[MeasuredValue]:
    if isinstance(value, Estimate):
        yield MeasuredValue(about, value)
    elif isinstance(value, int | float):
        yield MeasuredValue(about, Estimate(float(value), float(value), float(value)))
    elif isinstance(value, list):
        yield from _of_list(cast("list[Any]", value), about)


def _of_list(items: list[Any], about: str) -> Iterator[MeasuredValue]:
    """Yield the first number of each item; of rates at few false alarms the one at the fewest."""
    rates = [item for item in items if isinstance(item, RateAt)]
    if rates:
        rarest = min(rates, key=lambda rate: rate.fpr)
        yield MeasuredValue(f"{about}, {item_name(rarest, 0)}", rarest)
        return
    for index, item in enumerate(items):
        numbers = [each for each in vars(item).values() if isinstance(each, Estimate)]
        yield from (MeasuredValue(f"{about}, {_item(item, index)}", each) for each in numbers[:1])


def _item(item: Any, index: int) -> str:
    """Return the words for an item; a record is not named, because the answers are passed on."""
    return "its most exposed record" if isinstance(item, SampleExposure) else item_name(item, index)


def _told(measure: Measure[Any], value: MeasuredValue, results: Results) -> str:
    """Write a number with its interval, what it is about, and how many versions it is the worst of."""
    many = len(lead(results).versions)
    among = f", worst of {many} versions" if measure.subject == "version" and many > 1 else ""
    return f"{_number(measure, value.estimate)} in {words.clean(value.about, 120)}{among}"


def _number(measure: Measure[Any], estimate: Estimate) -> str:
    percent = measure.unit in ("share", "share difference")
    scaled = words.scaled(estimate, 100) if percent else estimate
    unit = {"share": " %", "share difference": " points"}.get(measure.unit, "")
    if estimate.low == estimate.high:
        return f"{words.significant(scaled.value, 3)}{unit}"
    digits = words.places(words.reach(scaled))
    value, low, high = (words.fixed(each, digits) for each in (scaled.value, scaled.low, scaled.high))
    return f"{value}{unit} ({low} to {high})"
