"""What protection costs: the utility of the least exposed versions, and the least exposed that cost nothing measurable.

A version costs something where its paired difference from full precision lies below zero beyond doubt. Where it does
not, the sentence says how large a loss the interval still allows, because nothing was shown to be free. Where the very
model was given beside models trained like it, the sentences are about the very model; it is one model and shows small
losses badly, so a version counts as costing nothing only where those trained like it lose nothing measurable either.
"""

import math
from collections.abc import Sequence

from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.utility import UTILITY
from quantmis.report import words
from quantmis.report.headline import rightness
from quantmis.report.reading import (
    about_model,
    baseline,
    front,
    keeps,
    lead,
    least_exposed,
    metric,
    most_useful,
    protects,
    tied,
    utility_change,
)
from quantmis.report.words import some, title
from quantmis.results import Results, VersionResult
from quantmis.stats import Estimate, Unmeasured


def price(results: Results) -> str | None:
    """Say what the least exposed version costs in utility against full precision."""
    view = lead(results)
    least, whole = least_exposed(view), baseline(view)
    if whole is None or not least:
        return None
    if len(least) == 1:
        return f"{title(least[0].name)} {cost(least[0], whole)}."
    cheapest, *_, dearest = most_useful(least)
    if cost(dearest, whole) == cost(cheapest, whole):
        return f"Each of them {cost(cheapest, whole)}."
    return (
        f"The most useful of the least exposed, {title(cheapest.name)}, {cost(cheapest, whole)}; "
        f"the least useful, {title(dearest.name)}, {cost(dearest, whole)}."
    )


def cost(record: VersionResult, whole: VersionResult) -> str:
    """Say what a version costs or gains in utility against full precision, as the rest of a sentence about it."""
    change, name = utility_change(record, whole), metric([record, whole])
    if isinstance(change, Unmeasured):
        return f"has {_article(name)} whose difference from full precision was not measured"
    both = _both(record, whole, name)
    if change.low <= 0 <= change.high:
        span = difference(change, name)
        return (
            f"has {_article(name)} that the data do not tell from that of full precision (a difference of {span}{both})"
        )
    lost = change if change.low > 0 else words.scaled(change, -1)
    return f"{'costs' if change.high < 0 else 'gains'} {difference(lost, name)}{both}"


def difference(change: Estimate, name: str) -> str:
    """Write a difference of utility with its interval; that of a share in percentage points.

    >>> difference(Estimate(0.081, 0.072, 0.09), "accuracy"), difference(Estimate(0.08, 0.07, 0.09), "r2")
    ('8.1 points of accuracy, between 7.2 and 9.0', '0.080 of r2, between 0.070 and 0.090')
    """
    if name == LOG_LIKELIHOOD:
        return _times(change)
    share = words.is_share(name)
    factor, unit = (100, " points") if share else (1, "")
    amount = words.scaled(change, factor)
    digits = words.clear(amount, words.places(words.reach(amount) / 10, most=1 if share else 4))
    value, low, high = (words.fixed(each, digits) for each in (amount.value, amount.low, amount.high))
    return f"{value}{unit} of {words.plainly(name)}, between {low} and {high}"


def _times(change: Estimate) -> str:
    """Write a difference of the log-likelihood of a token as what perplexity is multiplied or divided by.

    >>> _times(Estimate(0.1, 0.09, 0.11))
    'a factor of 1.105 in perplexity, between 1.094 and 1.116'
    """
    factor = Estimate(math.exp(change.value), math.exp(change.low), math.exp(change.high))
    digits = words.clear(factor, words.places(words.reach(factor) / 10))
    value, low, high = (words.fixed(each, digits) for each in (factor.value, factor.low, factor.high))
    return f"a factor of {value} in perplexity, between {low} and {high}"


def _both(record: VersionResult, whole: VersionResult, name: str) -> str:
    mine, theirs = record[UTILITY], whole[UTILITY]
    if isinstance(mine, Unmeasured) or isinstance(theirs, Unmeasured):
        return ""  # only their difference was measured
    digits = words.places(max(words.reach(mine), words.reach(theirs)))
    return f"; {words.utility_text(mine.value, name, digits)} against {words.utility_text(theirs.value, name, digits)}"


def _article(name: str) -> str:
    return f"an {words.plainly(name)}" if name[:1] in "aeio" else f"a {words.plainly(name)}"


def bargain(results: Results) -> str | None:
    """Say which version gives away least among those whose utility is not told from that of full precision."""
    view = lead(results)
    whole, least, best = baseline(view), least_exposed(view), bargains(results)
    if whole is None or not least:
        return None
    name = words.plainly(metric(view.versions))
    if not best:
        return _no_bargain(results, whole, name)
    if all(record in best for record in least):
        return None
    among = f"Of those whose {name} the data do not tell from that of full precision{_too(results) or ','}"
    alone = [record.name for record in front(view, without_shown_loss(results))] == [record.name for record in best]
    less = "least" if alone else "less than full precision"
    alike, verb = (" and cannot be told apart", "give") if len(best) > 1 else ("", "gives")
    often = rightness(best, view)
    sentence = f"{among} {some([title(record.name) for record in best])} {verb} away {less}{alike}"
    return f"{sentence}{f': the attacker is {often}' if often else ''}.{_tied_with(results, best)}"


def _too(results: Results) -> str:
    return "" if about_model(results) is None else ", in this model and in those trained like it,"


def _tied_with(results: Results, best: Sequence[VersionResult]) -> str:
    """Name those that keep their utility too and are tied with all of `best` without being told from full precision."""
    view = lead(results)
    others = [
        title(record.name)
        for record in without_shown_loss(results)
        if record not in best and all(tied(view, record, each) for each in best) and not protects(view, record)
    ]
    them = "it" if len(best) == 1 else "them"
    return f" But {some(others)} cannot be told apart from {them} either." if others else ""


def _no_bargain(results: Results, whole: VersionResult, name: str) -> str:
    of = f"No version whose {name} the data do not tell from that of full precision{_too(results)}"
    none = f"{of} gives away measurably less than it does"
    alike = [title(record.name) for record in without_shown_loss(results) if tied(lead(results), record, whole)]
    if not alike:
        return f"{none}."
    give = "they give" if len(alike) > 1 else "it gives"
    return f"{none}: {some(alike)} cannot be told apart from full precision by what {give} away."


def without_shown_loss(results: Results) -> list[VersionResult]:
    """Return the quantized versions that lead the report and are not shown to lose utility, here or in like models."""
    view = lead(results)
    whole = baseline(view)
    if whole is None:
        return []
    others = [record for record in view.versions if record is not whole and keeps(record, whole)]
    return others if view is results else [record for record in others if not lost_alike(results, record)]


def lost_alike(results: Results, record: VersionResult) -> Estimate | None:
    """Return what a version of models trained like the very model loses in utility beyond doubt, None for nothing."""
    by_name = {each.name: each for each in results.versions}
    mine, whole = by_name.get(record.name), baseline(results)
    change = utility_change(mine, whole) if mine and whole else None
    return words.scaled(change, -1) if isinstance(change, Estimate) and change.high < 0 else None


def contrary(results: Results) -> str | None:
    """Say where the very model alone does not show a loss of utility that models trained like it do."""
    view = lead(results)
    whole = baseline(view)
    if view is results or whole is None:
        return None
    losses = [
        f"{difference(lost, metric([record]))}, under {title(record.name)}"
        for record in most_useful(least_exposed(view))[:1]
        if keeps(record, whole) and (lost := lost_alike(results, record))
    ]
    return f"One model alone hardly shows such a loss: models trained like it lose {losses[0]}." if losses else None


def bargains(results: Results) -> list[VersionResult]:
    """Return the least exposed of the versions that keep the utility of full precision and give away less than it.

    Where the data cannot tell some of them apart, they are all returned, in the order of the ranking.
    """
    view = lead(results)
    return front(view, [record for record in without_shown_loss(results) if protects(view, record)])


def recommended(results: Results) -> list[VersionResult]:
    """Return the versions that a decision is between: the most useful of the least exposed, and that at no price."""
    records = [*most_useful(least_exposed(lead(results)))[:1], *most_useful(bargains(results))[:1]]
    return list({record.name: record for record in records}.values())
