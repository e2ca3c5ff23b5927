"""The limits on one version of a model: what attackers get, what it costs, its place among the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quantmis import attacks
from quantmis.gate.policy import Policy
from quantmis.gate.verdict import Bench, Standing, Verdict
from quantmis.report.reading import attacker
from quantmis.report.words import BASELINE, clean
from quantmis.results import AttackMetrics, Measured, VersionResult, Ranking, UpperBound
from quantmis.stats import Estimate, Unmeasured

TOLD_TOO_MUCH = {attack.name for attack in vars(attacks).values() if getattr(attack, "bounds_security", True) is False}
"""Attacks that are told what no attacker would know. One that is not ours counts: that is the cautious reading."""


@dataclass(frozen=True)
class Among:
    """Hold the versions that one is compared with, itself included, and their ranking."""

    records: Sequence[VersionResult]
    ranking: Ranking | Unmeasured


def version_limits(bench: Bench, record: VersionResult, among: Among, policy: Policy) -> Iterator[Verdict]:
    """Hold every limit of `policy` on versions against one of them."""
    yield from _exposure(bench, record, policy)
    yield from _rates(bench, record, policy)
    yield from _utility(bench, record, policy)
    yield from bench.hold("overfitting.gap_at_most", "at most", policy.overfitting.gap_at_most, record.gap)
    yield from _ranking(bench, record, among, policy)
    yield from _carried_out(bench, record, policy.evidence.attacks)


def _exposure(bench: Bench, record: VersionResult, policy: Policy) -> Iterator[Verdict]:
    asked, bound = policy.exposure, record.security_upper_bound
    by = bound.attack if isinstance(bound, UpperBound) else ""
    right = attacker(record)
    yield from bench.hold("exposure.attacker_right_at_most", "at most", asked.attacker_right_at_most, right, by)
    yield from bench.hold("exposure.security_at_least", "at least", asked.security_at_least, bound, by)
    yield from bench.hold(
        "exposure.increase_at_most", "at most", asked.increase_at_most, _against_itself(bench, record, "change")
    )
    worst, attack = _worst([(name, found.epsilon_low) for name, found in _attacks(record)])
    yield from bench.hold("exposure.epsilon_at_most", "at most", asked.epsilon_at_most, worst, attack)
    worst, label = _worst_class(record)
    yield from bench.hold("exposure.class_auc_at_most", "at most", asked.class_auc_at_most, worst, label)


def _rates(bench: Bench, record: VersionResult, policy: Policy) -> Iterator[Verdict]:
    for asked in policy.exposure.true_positive_rates:
        fpr = asked.at_false_positive_rate
        found = [(name, rate) for name, each in _attacks(record) for rate in each.tpr if rate.fpr == fpr]
        worst, attack = _worst(found)
        if not found and list(_attacks(record)):
            known = sorted({rate.fpr for _, each in _attacks(record) for rate in each.tpr}, reverse=True)
            worst = Unmeasured(f"the audit measured it at {', '.join(f'{rate:g}' for rate in known)}")
        yield from bench.hold(f"exposure.true_positive_rates at {fpr:g}", "at most", asked.at_most, worst, attack)


def _utility(bench: Bench, record: VersionResult, policy: Policy) -> Iterator[Verdict]:
    change = _against_itself(bench, record, "utility_change")
    yield from bench.hold("utility.drop_at_most", "at most", policy.utility.drop_at_most, _minus(change))
    yield from bench.hold("utility.at_least", "at least", policy.utility.at_least, record.utility)


def _ranking(bench: Bench, record: VersionResult, among: Among, policy: Policy) -> Iterator[Verdict]:
    asked = policy.ranking
    yield from bench.place("ranking.rank_at_most", asked.rank_at_most, _rank(record, among.ranking))
    yield from bench.place(
        "ranking.indicator_rank_at_most", asked.indicator_rank_at_most, _indicator_rank(record, among.records)
    )
    yield from bench.hold("ranking.indicator_at_least", "at least", asked.indicator_at_least, record.indicator)


def _carried_out(bench: Bench, record: VersionResult, asked: Sequence[str]) -> Iterator[Verdict]:
    for name in asked:
        found = record.attacks.get(name)
        adaptive = Unmeasured("it is none of the attacks of this audit") if found is None else found.adaptive
        done = isinstance(adaptive, AttackMetrics)
        reason = "" if done else adaptive.reason
        said = "carried out" if done else "not carried out"
        yield bench.state("evidence.attacks", f"{clean(name)} to be carried out", said, done, reason)


def _attacks(record: VersionResult) -> Iterator[tuple[str, AttackMetrics]]:
    """Return what was measured of every attack that an attacker could carry out, in both forms."""
    for name, result in record.attacks.items():
        if name.partition("(")[0] in TOLD_TOO_MUCH:
            continue
        for form, found in (("adaptive", result.adaptive), ("transfer", result.transfer)):
            if isinstance(found, AttackMetrics):
                yield f"{name}, {form}", found


def _worst(found: Sequence[tuple[str, Measured]]) -> tuple[Measured, str]:
    """Return the measured quantity that reaches highest, with its name; the first reason where none was measured."""
    known = [(name, each) for name, each in found if isinstance(each, Estimate)]
    if known:
        name, worst = max(known, key=lambda pair: pair[1].high)
        return worst, name
    return (found[0][1] if found else Unmeasured("no attack that an attacker could carry out was measured")), ""


def _worst_class(record: VersionResult) -> tuple[Measured, str]:
    """Return the AUC of the most exposed class; a class that was not measured might be that one."""
    if isinstance(record.by_class, Unmeasured):
        return record.by_class, ""
    for each in record.by_class:
        if isinstance(each.auc, Unmeasured):
            return Unmeasured(f"class {each.label}: {each.auc.reason}"), ""
    return _worst([(f"class {each.label}", each.auc) for each in record.by_class])


def _against_itself(bench: Bench, record: VersionResult, field: str) -> Measured:
    """Return a change against full precision; that of full precision itself is none."""
    change: Measured = getattr(record, field)
    if record.name == BASELINE and isinstance(change, Unmeasured):
        return Estimate(0.0, 0.0, 0.0, bench.level, "full precision is what the others are compared with")
    return change


def _minus(change: Measured) -> Measured:
    if isinstance(change, Unmeasured):
        return change
    return Estimate(-change.value, -change.high, -change.low, change.level, change.method, change.reason)


def _rank(record: VersionResult, ranking: Ranking | Unmeasured) -> Standing | Unmeasured:
    if isinstance(ranking, Unmeasured):
        return ranking
    row = next((row for row in ranking.rows if row.name == record.name), None)
    return Unmeasured(ranking.criterion) if row is None else Standing(row.rank, row.rank + len(set(row.tied)))


def _indicator_rank(record: VersionResult, among: Sequence[VersionResult]) -> Standing | Unmeasured:
    """Return the place by the indicator, higher is better; a version that was not measured might be better."""
    own = record.indicator
    if isinstance(own, Unmeasured):
        return own
    others = [other.indicator for other in among if other.name != record.name]
    better = sum(isinstance(other, Estimate) and other.low > own.high for other in others)
    perhaps = sum(isinstance(other, Unmeasured) or other.high >= own.low for other in others)
    return Standing(1 + better, 1 + perhaps)
