"""What the report reads off an audit before it puts anything into words.

The one number that everything is told in is how often an attacker is right who must say of one record whether the
model was trained on it: half the time by tossing a coin, always if the model gives everything away. It is
the balanced accuracy of the strongest attack, (1 + advantage) / 2.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.distortion import DISTORTION
from quantmis.measures.gain_over_constant_guess import GAIN_OVER_CONSTANT_GUESS, lost_all
from quantmis.measures.passing import PASSING
from quantmis.measures.perplexity import PERPLEXITY
from quantmis.measures.tpr_at_fpr import TPR_AT_FPR, RateAt, UnresolvedAt
from quantmis.measures.utility import UTILITY
from quantmis.measures.utility_change import UTILITY_CHANGE
from quantmis.report import words
from quantmis.report.words import BASELINE
from quantmis.results import AttackMetrics, Results, TargetResult, VersionResult, standing
from quantmis.stats import Estimate, Unmeasured

COIN = 0.5
UNPAIRED = "not paired: the ends of the two intervals, one against the other"


@dataclass(frozen=True)
class Place:
    """Hold one row of the ranking: its number in tables and figures, its rank or the ranks that it may have, its ties.

    `leads`: it may be called one of the least exposed.
    """

    position: int
    rank: str
    leads: bool
    record: VersionResult
    attacker: Estimate | Unmeasured
    tied: tuple[int, ...]


def attacker(record: VersionResult) -> Estimate | Unmeasured:
    """Return how often the strongest attack on one version is right; 0.5 is a coin."""
    return record[ATTACK_ACCURACY]


def about_model(results: Results) -> Results | None:
    """Return what an audit of a training algorithm says of the very model that was given, as an as-is audit would."""
    this_model = results.this_model
    if results.config.depth == "as-is" or isinstance(this_model, Unmeasured):
        return None
    records, ranking = this_model
    config = results.config.model_copy(update={"depth": "as-is"})
    sets = results.target.releases if isinstance(results.target, TargetResult) else []
    own = {"versions": records, "ranking": ranking, "releases": sets}
    return results.model_copy(update={"config": config, "agreement": [], **own})


def lead(results: Results) -> Results:
    """Return what the report leads with: the very model where it was given, else the audit as it is."""
    return about_model(results) or results


def rates_digits(results: Results) -> int:
    """Return the decimals of every percentage that says how often an attacker is right, in words and in tables."""
    reaches = [words.reach(right) for record in results.versions if isinstance(right := attacker(record), Estimate)]
    return words.places(100 * median(reaches), most=1) if reaches else 0


def rate(right: Estimate, digits: int) -> tuple[str, str, str]:
    """Write how often an attacker is right, and the ends of its interval; what is no coin is not written as one."""
    clear = clear_digits(right, digits)
    return (words.percent(right.value, clear), words.percent(right.low, clear), words.percent(right.high, clear))


def clear_digits(right: Estimate, digits: int) -> int:
    """Return the decimals, at least `digits`, with which neither end of a rate is written as a coin that is none."""
    return words.clear(words.scaled(right, 100), digits, apart=100 * COIN)


def numbers(results: Results) -> dict[str, int]:
    """Return the number of each version, the same in every table and figure: its position in the ranking table."""
    ranked = [row.name for row in results.ranking.rows]
    unranked = [record.name for record in results.versions if record.name not in ranked]
    return {name: number for number, name in enumerate([*ranked, *unranked], 1)}


def places(results: Results, number: Mapping[str, int] | None = None) -> list[Place]:
    """Return the versions in the order of the ranking; those that it leaves out follow without a rank.

    `number` holds the numbers that versions already have in another ranking; others are numbered after them.
    """
    number = dict(number or {})
    for name in numbers(results):
        number.setdefault(name, len(number) + 1)
    least = least_exposed(results)
    rows = {row.name: row for row in results.ranking.rows}
    entries: list[Place] = []
    for name in numbers(results):
        record, row = results.version(name), rows.get(name)
        tied_with = tuple(sorted(number[other] for other in (row.tied if row else ())))
        rank = standing(row.rank if row else None, len(tied_with))
        entries.append(Place(number[name], rank, record in least, record, attacker(record), tied_with))
    return entries


def ordered(records: Sequence[VersionResult]) -> str:
    """Say in which order versions are listed: by what is told of them, and where that leaves ties, by what passes."""
    ties = ((PASSING, "; where tied, the least of the signal passes"), (DISTORTION, "; where tied, the most distorted"))
    known = (words for measure, words in ties if all(isinstance(record[measure], float) for record in records))
    return "the least exposed first" + next(known, "")


def leaders(results: Results) -> list[VersionResult]:
    """Return the versions that no other one beats beyond doubt: where there are several, nothing tells them apart."""
    return [results.version(row.name) for row in results.ranking.rows if row.rank == 1]


def baseline(results: Results) -> VersionResult | None:
    """Return the full-precision version where the audit holds it."""
    return next((record for record in results.versions if record.name == BASELINE), None)


def tied(results: Results, one: VersionResult, other: VersionResult) -> bool:
    """Return whether the ranking says that two versions cannot be told apart."""
    pair = {one.name, other.name}
    return any({row.name, name} == pair for row in results.ranking.rows for name in row.tied)


def beats(results: Results, one: VersionResult, other: VersionResult) -> bool:
    """Return whether the ranking says that `one` gives away less than `other` beyond doubt."""
    order = [row.name for row in results.ranking.rows]
    if one.name not in order or other.name not in order or one.name == other.name or tied(results, one, other):
        return False
    return order.index(one.name) < order.index(other.name)


def protects(results: Results, record: VersionResult) -> bool:
    """Return whether a version gives away less than full precision beyond doubt.

    The paired change says so where it was measured, and the ranking, which allows for the number of comparisons, must
    not contradict it.
    """
    return _parts(results, record, lambda change: change.high < 0, lambda whole: beats(results, record, whole))


def exposes(results: Results, record: VersionResult) -> bool:
    """Return whether a version gives away more than full precision beyond doubt."""
    return _parts(results, record, lambda change: change.low > 0, lambda whole: beats(results, whole, record))


def _parts(
    results: Results,
    record: VersionResult,
    paired: Callable[[Estimate], bool],
    ranked: Callable[[VersionResult], bool],
) -> bool:
    whole, change = baseline(results), record[ATTACK_ACCURACY_CHANGE]
    if whole is None or record.name == whole.name:
        return False
    if {record.name, whole.name} <= {row.name for row in results.ranking.rows}:
        return ranked(whole) and (isinstance(change, Unmeasured) or paired(change))
    return isinstance(change, Estimate) and paired(change)


def least_exposed(results: Results) -> list[VersionResult]:
    """Return the versions that may be called the least exposed; none where nothing is told from full precision.

    They are of the first rank, and give away less than full precision where that was audited. Being tied is not
    transitive: a version can be of the first rank because it is tied with the best, and be tied with full precision.
    A version that lost all that full precision knows is none of them: it would be named for knowing nothing.
    """
    knows_nothing = useless(results.versions)
    first = [record for record in leaders(results) if record.name not in knows_nothing]
    if baseline(results) is None:
        return first if len(first) < len(results.versions) else []
    useful = [record for record in results.versions if record.name not in knows_nothing]
    protective = [record for record in useful if protects(results, record)]
    return [record for record in first if record in protective] or front(results, protective)


def useless(records: Sequence[VersionResult]) -> set[str]:
    """Return the versions, by name, that lost all that full precision, one of them, knows beyond a constant guess."""
    gains = {record.name: record[GAIN_OVER_CONSTANT_GUESS] for record in records}
    return {name for name, gain in gains.items() if BASELINE in gains and lost_all(gain, gains[BASELINE])}


def front(results: Results, records: Sequence[VersionResult]) -> list[VersionResult]:
    """Return those of the versions that no other of them beats, in the order of the ranking."""
    position = numbers(results)
    unbeaten = [record for record in records if not any(beats(results, other, record) for other in records)]
    return sorted(unbeaten, key=lambda record: position[record.name])


def apart(one: Estimate, other: Estimate) -> bool:
    """Return whether two intervals have no point in common."""
    return one.high < other.low or other.high < one.low


def utility_change(record: VersionResult, whole: VersionResult) -> Estimate | Unmeasured:
    """Return the utility of a version minus that of full precision: paired, else the widest that both allow."""
    mine, theirs = record[UTILITY], whole[UTILITY]
    if isinstance(record[UTILITY_CHANGE], Estimate):
        return record[UTILITY_CHANGE]
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return next(each for each in (mine, theirs) if isinstance(each, Unmeasured))
    return Estimate(mine.value - theirs.value, mine.low - theirs.high, mine.high - theirs.low, mine.level, UNPAIRED)


def keeps(record: VersionResult, whole: VersionResult) -> bool:
    """Return whether the utility of a version is not beyond doubt below that of full precision."""
    change = utility_change(record, whole)
    return isinstance(change, Estimate) and change.high >= 0


def metric(records: Sequence[VersionResult]) -> str:
    """Return the name of the utility of the versions, `utility` where it was measured for none."""
    return next((each.utility_metric for each in records if not isinstance(each[UTILITY], Unmeasured)), "utility")


def most_useful(records: Sequence[VersionResult]) -> list[VersionResult]:
    """Return the versions by what they are worth, the most useful first; of equals the first named is first."""
    return sorted(records, key=lambda record: -utility_value(record))


def displayed_utility(record: VersionResult) -> Estimate | Unmeasured:
    """Return the utility of a version as people are shown it: of a language model its perplexity."""
    return record[PERPLEXITY if PERPLEXITY.name in record.measures else UTILITY]


def utility_value(record: VersionResult) -> float:
    """Return the utility of a version for sorting; one that was not measured counts as the lowest."""
    measured = record[UTILITY]
    return -math.inf if isinstance(measured, Unmeasured) else measured.value


def adaptive(record: VersionResult, attack: str) -> AttackMetrics | Unmeasured:
    """Return what an attack achieved whose own models went through the same quantizer."""
    result = record.attacks.get(attack)
    return Unmeasured("this attack was not run on this version") if result is None else result.adaptive


def lead_attack(results: Results) -> str | None:
    """Return the attack to show where there is room for one: the lead attack, else the first that was run."""
    names = list(dict.fromkeys(name for record in results.versions for name in record.attacks))
    lead = results.config.lead_attack
    return lead if lead in names else next(iter(names), None)


def rates(outcome: AttackMetrics | Unmeasured) -> list[RateAt | UnresolvedAt]:
    """Return the true positive rates of an attack, or why there is none at a false positive rate."""
    measured = outcome if isinstance(outcome, Unmeasured) else outcome[TPR_AT_FPR]
    return [] if isinstance(measured, Unmeasured) else measured


def rate_at(outcome: AttackMetrics | Unmeasured, fpr: float) -> RateAt | None:
    """Return the true positive rate at one false positive rate where it was resolved."""
    return next((rate for rate in rates(outcome) if isinstance(rate, RateAt) and rate.fpr == fpr), None)


def smallest_rate(outcome: AttackMetrics | Unmeasured) -> float:
    """Return the smallest false positive rate at which the true positive rate has an interval, 1 without any."""
    return min((rate.fpr for rate in rates(outcome) if isinstance(rate, RateAt)), default=1.0)
