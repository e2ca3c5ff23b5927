"""What protection costs: the utility of the least exposed versions, and the least exposed that cost nothing measurable.

A version costs something where its paired difference from full precision lies below zero beyond doubt. Where it does
not, the sentence says how large a loss the interval still allows, because nothing was shown to be free.
"""

from quantmis.report import words
from quantmis.report.headline import rightness
from quantmis.report.reading import (
    baseline,
    front,
    keeps,
    least_exposed,
    metric,
    protects,
    tied,
    utility_change,
    worth,
)
from quantmis.report.words import some, title
from quantmis.results import QuantizerResult, Results
from quantmis.stats import Estimate, Unmeasured


def price(results: Results) -> str | None:
    """Say what the least exposed version costs in utility against full precision."""
    least, whole = least_exposed(results), baseline(results)
    if whole is None or not least:
        return None
    if len(least) == 1:
        return f"{title(least[0].name)} {_cost(least[0], whole)}."
    by_worth = sorted(least, key=worth)
    dearest, cheapest = by_worth[0], by_worth[-1]
    if _cost(dearest, whole) == _cost(cheapest, whole):
        return f"Each of them {_cost(cheapest, whole)}."
    return (
        f"The most useful of them, {title(cheapest.name)}, {_cost(cheapest, whole)}; "
        f"the least useful, {title(dearest.name)}, {_cost(dearest, whole)}."
    )


def _cost(record: QuantizerResult, whole: QuantizerResult) -> str:
    change, name = utility_change(record, whole), metric([record, whole])
    if isinstance(change, Unmeasured):
        return f"has {_article(name)} whose difference from full precision was not measured"
    both = _both(record, whole, name)
    if change.low <= 0 <= change.high:
        span = difference(change, name)
        return (
            f"has {_article(name)} that the data do not tell from that of full precision (a difference of {span}{both})"
        )
    low, high = sorted((abs(change.low), abs(change.high)))
    lost = Estimate(abs(change.value), low, high)
    return f"{'costs' if change.high < 0 else 'gains'} {difference(lost, name)}{both}"


def difference(change: Estimate, name: str) -> str:
    """Write a difference of utility with its interval; that of a share in percentage points.

    >>> difference(Estimate(0.081, 0.072, 0.09), "accuracy"), difference(Estimate(0.08, 0.07, 0.09), "r2")
    ('8.1 points of accuracy, between 7.2 and 9.0', '0.080 of r2, between 0.070 and 0.090')
    """
    share = words.is_share(name)
    factor, unit = (100, " points") if share else (1, "")
    digits = words.places(factor * words.reach(change) / 10, most=1 if share else 4)
    value, low, high = (words.fixed(factor * each, digits) for each in (change.value, change.low, change.high))
    return f"{value}{unit} of {words.plainly(name)}, between {low} and {high}"


def _both(record: QuantizerResult, whole: QuantizerResult, name: str) -> str:
    mine, theirs = record.utility, whole.utility
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return ""  # only their difference was measured
    digits = words.places(max(words.reach(mine), words.reach(theirs)))
    return f"; {words.worth(mine.value, name, digits)} against {words.worth(theirs.value, name, digits)}"


def _article(name: str) -> str:
    return f"an {words.plainly(name)}" if name[:1] in "aeio" else f"a {words.plainly(name)}"


def bargain(results: Results) -> str | None:
    """Say which version gives away least among those whose utility is not told from that of full precision."""
    whole, least = baseline(results), least_exposed(results)
    if whole is None or not least:
        return None
    best, name = bargains(results), words.plainly(metric(results.quantizers))
    if not best:
        return _no_bargain(results, whole, name)
    if best[0] in least and all(record in best for record in least):
        return None
    among = f"Of those whose {name} the data do not tell from that of full precision"
    alike, verb = (" and cannot be told apart", "give") if len(best) > 1 else ("", "gives")
    often = rightness(best)
    said = f"{among}, {some([title(record.name) for record in best])} {verb} away least{alike}"
    return said + (f": the attacker is {often}." if often else ".")


def _no_bargain(results: Results, whole: QuantizerResult, name: str) -> str:
    kept = [record for record in results.quantizers if record is not whole and keeps(record, whole)]
    none = f"No version whose {name} can pass for that of full precision gives away measurably less than it does"
    alike = [title(record.name) for record in kept if tied(results, record, whole)]
    if not alike:
        return f"{none}."
    give = "they give" if len(alike) > 1 else "it gives"
    return f"{none}: {some(alike)} cannot be told apart from full precision by what {give} away."


def bargains(results: Results) -> list[QuantizerResult]:
    """Return the least exposed of the versions that keep the utility of full precision and give away less than it.

    Where the data cannot tell some of them apart, they are all returned, in the order of the ranking.
    """
    whole = baseline(results)
    if whole is None:
        return []
    return front(results, [each for each in results.quantizers if keeps(each, whole) and protects(results, each)])
