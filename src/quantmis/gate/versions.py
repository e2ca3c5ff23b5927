"""The limits on one version of a model: what attackers get, what it costs, its place among the others."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from quantmis.gate.policy import Policy, limited
from quantmis.gate.verdict import Bench, Direction, Standing, Verdict, with_interval
from quantmis.measures import Measure
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.forget_auc_change import FORGET_AUC_CHANGE
from quantmis.measures.forget_utility_change import FORGET_UTILITY_CHANGE
from quantmis.measures.gain_over_constant_guess import GAIN_OVER_CONSTANT_GUESS
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.measures.utility_change import UTILITY_CHANGE
from quantmis.report.gaps import item_name
from quantmis.report.reading import rates, useless
from quantmis.report.words import clean
from quantmis.results import AttackMetrics, Measured, Ranking, VersionResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.bound import security_of
from quantmis.tables import FULL_PRECISION


@dataclass(frozen=True)
class Among:
    """Hold the versions that one is compared with, itself included, their ranking, and the attacks that do not count.

    These are told what no attacker would know. One of which that is not known counts: that is the cautious reading.
    """

    records: Sequence[VersionResult]
    ranking: Ranking | Unmeasured
    excluded: Collection[str]


def version_limits(bench: Bench, record: VersionResult, among: Among, policy: Policy) -> Iterator[Verdict]:
    """Hold every limit of `policy` on versions against one of them."""
    for key, (measure, direction) in limited().items():
        threshold: float | None = getattr(policy.limits, key)
        if threshold is not None:
            measured, source = _quantity(measure, record, among, bench.level, direction)
            yield from bench.hold(f"limits.{key}", direction, threshold, measured, source)
    yield from _lost_all(bench, record, among.records, policy.evidence.hardly_learned)
    yield from _rates(bench, record, among.excluded, policy)
    yield from _ranking(bench, record, among, policy)
    yield from _carried_out(bench, record, policy.evidence.attacks)


def _lost_all(bench: Bench, record: VersionResult, among: Sequence[VersionResult], rule: str) -> Iterator[Verdict]:
    """Refuse a version that knows nothing though full precision does: it ships broken, or was not read as it runs."""
    gain = record[GAIN_OVER_CONSTANT_GUESS]
    if rule == "refuse" and isinstance(gain, Estimate) and record.name in useless(among):
        requirement, outcome = "better than a constant guess beyond doubt", f"{with_interval(gain)} above the guess"
        why = "what knows nothing gives nothing away; or this version was not read as it runs"
        yield bench.state("evidence.hardly_learned", requirement, outcome, within=False, reason=why)


def _quantity(
    measure: Measure[Any], record: VersionResult, among: Among, level: float, direction: Direction
) -> tuple[Measured, str]:
    """Return what a limit on a measure is held against, and the attack or class that it comes from."""
    if measure.subject == "attack":
        return worst([(name, outcome[measure]) for name, outcome in _attacks(record, among.excluded)], direction)
    value = _after_choice(measure, record, among.ranking)
    if isinstance(value, list):
        return _worst_part(cast("list[object]", value), direction)
    if record.name == FULL_PRECISION and measure in CHANGES and isinstance(value, Unmeasured):
        reason = "full precision is what the others are compared with"
        return Estimate(0.0, 0.0, 0.0, level, reason), ""
    if isinstance(value, int | float):
        return Estimate(float(value), float(value), float(value), level, "counted"), ""
    by = record.strongest_attack if measure in (ATTACK_ACCURACY, SECURITY_UPPER_BOUND) else ""
    return value, by


def _after_choice(measure: Measure[Any], record: VersionResult, ranking: Ranking | Unmeasured) -> Any:
    """Return what was measured, in the interval of all versions together where there is one: a version was chosen."""
    rows, value = [] if isinstance(ranking, Unmeasured) else ranking.rows, record[measure]
    simultaneous = next((row.chosen for row in rows if row.name == record.name), None)
    if simultaneous is None or isinstance(value, Unmeasured) or measure not in (ATTACK_ACCURACY, SECURITY_UPPER_BOUND):
        return value
    return simultaneous if measure is ATTACK_ACCURACY else security_of(simultaneous)


CHANGES = (ATTACK_ACCURACY_CHANGE, UTILITY_CHANGE, FORGET_AUC_CHANGE, FORGET_UTILITY_CHANGE)


def _worst_part(value: Sequence[object], direction: Direction) -> tuple[Measured, str]:
    """Return the worst number of a measure that is a list; one that was not measured might be that one."""
    parts = list(_parts(value))
    missing = next(((name, each) for name, each in parts if isinstance(each, Unmeasured)), None)
    if missing is not None:
        return Unmeasured(f"{missing[0]}: {missing[1].reason}"), ""
    return worst(parts, direction) if parts else (Unmeasured("this list is empty"), "")


def _parts(value: Sequence[object]) -> Iterator[tuple[str, Measured]]:
    """Yield the estimates in a value that is a list, each by the words of the report for its item."""
    for index, item in enumerate(value):
        fields = [item] if isinstance(item, Estimate | Unmeasured) else vars(item).values()
        yield from ((item_name(item, index), each) for each in fields if isinstance(each, Estimate | Unmeasured))


def _rates(bench: Bench, record: VersionResult, excluded: Collection[str], policy: Policy) -> Iterator[Verdict]:
    for limit in policy.limits.tpr:
        outcomes = list(_attacks(record, excluded))
        resolved = [(name, rate) for name, each in outcomes for rate in rates(each) if rate.fpr == limit.at_fpr]
        quantity, attack = worst(resolved, "at most")
        if not resolved and outcomes:
            fprs = sorted({rate.fpr for _, each in outcomes for rate in rates(each)}, reverse=True)
            quantity = Unmeasured(f"the audit measured it at {', '.join(f'{fpr:g}' for fpr in fprs)}")
        yield from bench.hold(f"limits.tpr at {limit.at_fpr:g}", "at most", limit.at_most, quantity, attack)


def _ranking(bench: Bench, record: VersionResult, among: Among, policy: Policy) -> Iterator[Verdict]:
    limits = policy.ranking
    yield from bench.place("ranking.rank_at_most", limits.rank_at_most, _rank(record, among.ranking))
    yield from bench.place(
        "ranking.indicator_rank_at_most", limits.indicator_rank_at_most, _indicator_rank(record, among.records)
    )


def _carried_out(bench: Bench, record: VersionResult, names: Sequence[str]) -> Iterator[Verdict]:
    for name in names:
        result = record.attacks.get(name)
        adaptive = Unmeasured("it is none of the attacks of this audit") if result is None else result.adaptive
        done = isinstance(adaptive, AttackMetrics)
        reason = "" if done else adaptive.reason
        outcome = "carried out" if done else "not carried out"
        yield bench.state("evidence.attacks", f"{clean(name)} to be carried out", outcome, done, reason)


def _attacks(record: VersionResult, excluded: Collection[str]) -> Iterator[tuple[str, AttackMetrics]]:
    """Return what was measured of every attack that an attacker could carry out, in both forms."""
    for name, result in record.attacks.items():
        if name in excluded:
            continue
        for form, metrics in (("adaptive", result.adaptive), ("transfer", result.transfer)):
            if isinstance(metrics, AttackMetrics):
                yield f"{name}, {form}", metrics


def worst(quantities: Sequence[tuple[str, Measured]], direction: Direction) -> tuple[Measured, str]:
    """Return the quantity whose interval reaches farthest against the limit, with its name.

    Where none was measured, it is the first reason.

    >>> quantities = [("lira", Estimate(0.6, 0.5, 0.7)), ("rmia", Estimate(0.6, 0.4, 0.65))]
    >>> [worst(quantities, direction)[1] for direction in ("at most", "at least")]
    ['lira', 'rmia']
    """
    estimates = [(name, each) for name, each in quantities if isinstance(each, Estimate)]
    if estimates:
        name, measured = max(estimates, key=lambda pair: pair[1].high if direction == "at most" else -pair[1].low)
        return measured, name
    none = Unmeasured("no attack that an attacker could carry out was measured")
    return (quantities[0][1] if quantities else none), ""


def _rank(record: VersionResult, ranking: Ranking | Unmeasured) -> Standing | Unmeasured:
    if isinstance(ranking, Unmeasured):
        return ranking
    row = next((row for row in ranking.rows if row.name == record.name), None)
    return Unmeasured(ranking.criterion) if row is None else Standing(row.rank, row.rank + len(set(row.tied)))


def _indicator_rank(record: VersionResult, among: Sequence[VersionResult]) -> Standing | Unmeasured:
    """Return the place by the indicator, higher is better; a version that was not measured might be better."""
    own = record[INDICATOR]
    if isinstance(own, Unmeasured):
        return own
    others = [other[INDICATOR] for other in among if other.name != record.name]
    better = sum(isinstance(other, Estimate) and other.low > own.high for other in others)
    perhaps = sum(isinstance(other, Unmeasured) or other.high >= own.low for other in others)
    return Standing(1 + better, 1 + perhaps)
