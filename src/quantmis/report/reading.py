"""What the report reads off an audit before it puts anything into words.

The one number that everything is told in is how often an attacker is right who must say of one record whether the
model was trained on it: half the time by tossing a coin, always if the model gives everything away. It is
(1 + advantage) / 2 of the strongest attack, thus 1 - bound / 2 of the upper bound on membership inference security.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from quantmis.report.words import BASELINE, NONE
from quantmis.results import AttackMetrics, QuantizerResult, RateAt, Results
from quantmis.stats import Estimate, Unmeasured

COIN = 0.5


@dataclass(frozen=True)
class Place:
    """Hold one row of the ranking: its position in the table, its rank with ties, and the positions it is tied with."""

    position: int
    rank: str
    leads: bool
    record: QuantizerResult
    attacker: Estimate | Unmeasured
    tied: tuple[int, ...]


def attacker(record: QuantizerResult) -> Estimate | Unmeasured:
    """Return how often the strongest attack on one version is right; 0.5 is a coin."""
    bound = record.security_upper_bound
    if isinstance(bound, Unmeasured):
        return bound
    return Estimate(1 - bound.value / 2, 1 - bound.high / 2, 1 - bound.low / 2, bound.level, bound.method, bound.reason)


def places(results: Results) -> list[Place]:
    """Return the versions in the order of the ranking; those that it leaves out follow without a rank."""
    rows = results.ranking.rows
    position = {row.name: index for index, row in enumerate(rows, 1)}
    shared = Counter(row.rank for row in rows)
    ranked = [
        Place(
            position[row.name],
            f"{row.rank}=" if shared[row.rank] > 1 else str(row.rank),
            row.rank == 1,
            results.quantizer(row.name),
            attacker(results.quantizer(row.name)),
            tuple(sorted(position[name] for name in row.tied if name in position)),
        )
        for row in rows
    ]
    left = [record for record in results.quantizers if record.name not in position]
    return ranked + [_unranked(record, len(rows) + index) for index, record in enumerate(left, 1)]


def _unranked(record: QuantizerResult, position: int) -> Place:
    return Place(position, NONE, False, record, attacker(record), ())


def leaders(results: Results) -> list[QuantizerResult]:
    """Return the versions that no other one beats beyond doubt: where there are several, nothing tells them apart."""
    return [place.record for place in places(results) if place.leads]


def baseline(results: Results) -> QuantizerResult | None:
    """Return the full-precision version where the audit holds it."""
    return next((record for record in results.quantizers if record.name == BASELINE), None)


def apart(one: Estimate, other: Estimate) -> bool:
    """Return whether two intervals have no point in common."""
    return one.high < other.low or other.high < one.low


def no_worse(record: QuantizerResult, than: QuantizerResult) -> bool:
    """Return whether the utility of a version was measured and is not beyond doubt below that of another."""
    mine, theirs = record.utility, than.utility
    return not isinstance(mine, Unmeasured) and not isinstance(theirs, Unmeasured) and mine.high >= theirs.low


def metric(records: Sequence[QuantizerResult]) -> str:
    """Return the name of the utility of the versions, `utility` where it was measured for none."""
    return next((each.utility.metric for each in records if not isinstance(each.utility, Unmeasured)), "utility")


def worth(record: QuantizerResult) -> float:
    """Return the utility of a version for sorting; one that was not measured counts as the lowest."""
    return -math.inf if isinstance(record.utility, Unmeasured) else record.utility.value


def rank_of(results: Results, record: QuantizerResult) -> int | None:
    """Return the rank of a version, None where the ranking leaves it out."""
    return next((row.rank for row in results.ranking.rows if row.name == record.name), None)


def tied(results: Results, one: QuantizerResult, other: QuantizerResult) -> bool:
    """Return whether the ranking says that two versions cannot be told apart."""
    return any(row.name == one.name and other.name in row.tied for row in results.ranking.rows)


def adaptive(record: QuantizerResult, attack: str) -> AttackMetrics | Unmeasured:
    """Return what an attack achieved whose own models went through the same quantizer."""
    result = record.attacks.get(attack)
    return Unmeasured("this attack was not run on this version") if result is None else result.adaptive


def foremost(results: Results) -> str | None:
    """Return the attack to show where there is room for one: LiRA, else the first that was run."""
    names = list(dict.fromkeys(name for record in results.quantizers for name in record.attacks))
    return "lira" if "lira" in names else next(iter(names), None)


def rate_at(found: AttackMetrics | Unmeasured, fpr: float) -> RateAt | None:
    """Return the true positive rate at one false positive rate where it was resolved."""
    rates = [] if isinstance(found, Unmeasured) else found.tpr
    return next((rate for rate in rates if isinstance(rate, RateAt) and rate.fpr == fpr), None)


def smallest_rate(found: AttackMetrics | Unmeasured) -> float:
    """Return the smallest false positive rate at which the true positive rate has an interval, 1 without any."""
    rates = [] if isinstance(found, Unmeasured) else found.tpr
    return min((rate.fpr for rate in rates if isinstance(rate, RateAt)), default=1.0)
