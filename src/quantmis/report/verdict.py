"""The verdict in plain words, generated from numbers and intervals.

Each rule is a small function of the results that returns one sentence, or None where it has nothing to say. Two
things are never said: that a version gives nothing away, because an attack that fails proves nothing about a better
one; and that one version is better than another where the intervals do not tell them apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from quantmis.report import reading, words
from quantmis.report.reading import (
    COIN,
    adaptive,
    apart,
    attacker,
    baseline,
    foremost,
    leaders,
    no_worse,
    rank_of,
    rate_at,
    smallest_rate,
    tied,
)
from quantmis.report.words import listing, percent, reach, some, title, worth
from quantmis.results import Control, QuantizerResult, Results
from quantmis.stats import Estimate, Unmeasured

Kind = Literal["alarm", "headline", "detail", "caution"]
Rule = Callable[[Results], str | None]


@dataclass(frozen=True)
class Sentence:
    """Hold one sentence of the verdict; `kind` says how loud it is, for pages that can show it."""

    kind: Kind
    text: str


def verdict(results: Results) -> list[Sentence]:
    """Return the sentences of the verdict in the order in which they should be read."""
    return [Sentence(kind, text) for kind, rule in RULES if (text := rule(results))]


def failed_controls(results: Results) -> str | None:
    """Warn before anything else that the audit failed its own checks."""
    failed = [control for control in results.controls if control.passed is False]
    if not failed:
        return None
    which = listing([_failure(control) for control in failed])
    return f"Do not rely on this audit: it failed its own check {which}. What follows may be wrong."


def _failure(control: Control) -> str:
    name, version = words.plainly(control.name), title(control.quantizer)
    found = words.number(control.found)
    return f"“{name}” on {version} (expected {words.clean(control.expected)}, found {found})"


def least_exposed(results: Results) -> str | None:
    """Say which version gives away least, how often an attacker is right about it, and about full precision."""
    first = leaders(results)
    count = len(results.quantizers)
    if not first:
        return "The audit could not rank the versions of the model by what they give away."
    if count == 1:
        return f"One version of the model was audited, {title(first[0].name)}: {_rightness(first, results)}."
    if len(first) == count:
        every = f"The {count} versions of the model cannot be told apart by what they give away"
        return f"{every}: {_rightness(first, results)}."
    return f"Of {count} versions of the model, {_leading(first)}: {_rightness(first, results)}."


def _leading(first: Sequence[QuantizerResult]) -> str:
    names = some([title(record.name) for record in first])
    return f"{names} {'gives' if len(first) == 1 else 'give'} away least" + (
        " and cannot be told apart" if len(first) > 1 else ""
    )


def _rightness(first: Sequence[QuantizerResult], results: Results) -> str:
    often = _often(first)
    if often is None:
        return "how often an attacker is right was not measured"
    return f"an attacker who knows everything we tried is {often}{_against_baseline(first, results)}"


def _often(records: Sequence[QuantizerResult]) -> str | None:
    known = [each for each in map(attacker, records) if isinstance(each, Estimate)]
    if not known:
        return None
    most = max(known, key=lambda each: each.high)
    digits = _digits(most)
    lowest, highest = (percent(choose(each.value for each in known), digits) for choose in (min, max))
    span = lowest if lowest == highest else f"{lowest.removesuffix(' %')} to {highest}"
    return f"right {span} of the time (at most {percent(most.high, digits)})"


def _against_baseline(first: Sequence[QuantizerResult], results: Results) -> str:
    whole = baseline(results)
    if whole is None or whole in first:
        return ""
    right = attacker(whole)
    if isinstance(right, Unmeasured):
        return "; for full precision that was not measured"
    return f", against {percent(right.value, _digits(right))} for full precision"


def _digits(right: Estimate) -> int:
    return words.places(100 * reach(right), most=1)


def nothing_gained(results: Results) -> str | None:
    """Say that quantization does not help where full precision is itself among the least exposed."""
    first, whole = leaders(results), baseline(results)
    if whole is None or whole not in first or len(results.quantizers) == 1:
        return None
    if len(first) == 1:
        return "No quantized version gives away as little as full precision does."
    return (
        "Full precision is among them: no quantized version gives away measurably less than the model it was made from."
    )


def price(results: Results) -> str | None:
    """Say what the least exposed version costs in utility against full precision."""
    first, whole = leaders(results), baseline(results)
    if whole is None or not first or whole in first:
        return None
    if len(first) == 1:
        return f"{title(first[0].name)} {_cost(first[0], whole)}."
    by_worth = sorted(first, key=reading.worth)
    dearest, cheapest = by_worth[0], by_worth[-1]
    if _cost(dearest, whole) == _cost(cheapest, whole):
        return f"Each of them {_cost(cheapest, whole)}."
    return (
        f"The most useful of them, {title(cheapest.name)}, {_cost(cheapest, whole)}; "
        f"the least useful, {title(dearest.name)}, {_cost(dearest, whole)}."
    )


def _cost(record: QuantizerResult, whole: QuantizerResult) -> str:
    mine, theirs = record.utility, whole.utility
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return "has a utility that was not measured"
    metric = mine.metric
    digits = words.places(max(reach(mine), reach(theirs)))
    both = f"({worth(mine.value, metric, digits)} against {worth(theirs.value, metric, digits)})"
    if not apart(mine, theirs):
        return f"has {_article(metric)} that the intervals do not separate from that of full precision {both}"
    verb = "costs" if mine.value < theirs.value else "gains"
    return f"{verb} {_points(abs(mine.value - theirs.value), metric, digits)} {both}"


def _points(difference: float, metric: str, digits: int) -> str:
    if words.is_share(metric):
        return f"{words.fixed(100 * difference, max(0, digits - 2))} points of {words.plainly(metric)}"
    return f"{words.fixed(difference, digits)} of {words.plainly(metric)}"


def _article(metric: str) -> str:
    return f"an {words.plainly(metric)}" if metric[:1] in "aeiou" else f"a {words.plainly(metric)}"


def bargain(results: Results) -> str | None:
    """Say which version gives away least among those whose utility is not separated from that of full precision."""
    whole, first = baseline(results), leaders(results)
    if whole is None or whole in first:
        return None
    best, metric = bargains(results), words.plainly(reading.metric([whole]))
    if not best:
        return f"No version that keeps the {metric} of full precision gives away measurably less than it does."
    if best[0] in first:
        return None
    among = f"Of those whose {metric} the intervals do not separate from that of full precision"
    often = _often(best)
    return f"{among}, {_leading(best)}" + (f": the attacker is {often}." if often else ".")


def bargains(results: Results) -> list[QuantizerResult]:
    """Return the least exposed of the versions that keep the utility of full precision and give away less than it.

    Where the data cannot tell some of them apart, they are all returned, in the order of the ranking.
    """
    whole = baseline(results)
    if whole is None:
        return []
    limit = rank_of(results, whole) or 0
    kept = [
        record
        for row in results.ranking.rows
        if row.rank < limit
        and no_worse(record := results.quantizer(row.name), whole)
        and not tied(results, record, whole)
    ]
    return [record for record in kept if record is kept[0] or tied(results, kept[0], record)]


def no_better_than_a_coin(results: Results) -> str | None:
    """Name the versions against which every attack failed, and say that this proves nothing."""
    failed = [record for record in results.quantizers if _reaches_coin(attacker(record))]
    if not failed:
        return None
    names = some([title(record.name) for record in failed])
    coin = f"Against {names} our attacks did not do measurably better than a coin"
    return f"{coin}, which proves nothing about attacks that we did not try."


def _reaches_coin(right: Estimate | Unmeasured) -> bool:
    return isinstance(right, Estimate) and right.low <= COIN


def unmeasured(results: Results) -> str | None:
    """Name the versions of which nobody can say how often an attacker is right, and why."""
    reasons = {
        record.name: right.reason for record in results.quantizers if isinstance(right := attacker(record), Unmeasured)
    }
    if not reasons:
        return None
    names = some([title(name) for name in reasons])
    why = "; ".join(dict.fromkeys(words.clean(reason, 200) for reason in reasons.values()))
    return f"How often an attacker is right about {names} was not measured: {why}."


def no_control(results: Results) -> str | None:
    """Say that the audit was not put to the test itself where none of its controls was run."""
    if any(control.passed is not None for control in results.controls):
        return None
    return "None of the audit's own checks was run, so nothing shows that it would have noticed a leak."


def reservation(results: Results) -> str | None:
    """Say what the numbers are: what the attacks that were run achieved, no promise about others."""
    level = percent(results.config.level)
    attacks = some([words.clean(name) for name in results.config.attacks], most=6)
    return (
        f"A coin is right 50 % of the time. Every figure is what the attacks that we ran achieved ({attacks}); "
        f"“at most” is the upper end of its {level} interval. A better attack may exist, "
        "so the figures say how much is given away at least."
    )


def most_exposed(results: Results) -> str | None:
    """Say how many members an attacker finds who hardly ever accuses a non-member: averages hide the most exposed."""
    attack, fpr = foremost(results), _smallest_rate(results)
    whole, first = baseline(results), leaders(results)
    records = [record for record in [whole, *first[:1]] if record is not None]
    found = {record.name: rate for record in records if (rate := rate_at(adaptive(record, str(attack)), fpr))}
    if not found:
        return None
    shares = listing([f"{_share(rate)} of the members of {title(name)}" for name, rate in found.items()])
    coin = f"a coin finds {words.probability(fpr)}"
    return f"With one false alarm in {1 / fpr:,.0f}, {words.clean(str(attack))} finds {shares}; {coin}."


def _smallest_rate(results: Results) -> float:
    found = [adaptive(record, str(foremost(results))) for record in results.quantizers]
    return max((smallest_rate(each) for each in found), default=1.0)


def _share(rate: Estimate) -> str:
    return percent(rate.value, words.places(100 * reach(rate), most=1))


RULES: tuple[tuple[Kind, Rule], ...] = (
    ("alarm", failed_controls),
    ("headline", least_exposed),
    ("detail", nothing_gained),
    ("detail", price),
    ("detail", bargain),
    ("detail", most_exposed),
    ("detail", unmeasured),
    ("caution", no_better_than_a_coin),
    ("caution", no_control),
    ("caution", reservation),
)
