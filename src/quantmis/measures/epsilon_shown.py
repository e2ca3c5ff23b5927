"""The largest epsilon that the attacks rule out, to be held against the one that the training guarantees."""

import math
from dataclasses import replace

from quantmis.measures.certified_epsilon import CERTIFIED_EPSILON
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.metrics import Table, epsilon
from quantmis.stats.roc import FALSE_POSITIVES_NEEDED

LEVEL = 0.999
"""The level of the interval: a sound certificate is doubted once in a thousand times, however many attacks are run."""

GROUPED = Unmeasured("records come in groups, and what is guaranteed is about one record, not about its group")


def epsilon_shown(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return log((TPR - delta) / FPR) of the attack whose lower end is highest; None where nothing is guaranteed."""
    table = version.table
    if table.certified is None:
        return None
    if table.audited_groups is not None:
        return GROUPED
    scored = [
        (name, scores)
        for form in (version.adaptive, version.transfer)
        for name, scores in form.items()
        if name not in version.excluded and not isinstance(scores, Unmeasured)
    ]
    level = 1 - (1 - LEVEL) / max(len(scored), 1)
    bounds = [epsilon(Table.of(scores, table.audited.member, level)) for _, scores in scored]
    found = [each for each in bounds if isinstance(each, Estimate)]
    if not found:
        return next(iter(bounds), Unmeasured("no attack that an attacker could carry out was measured"))
    trials = int((~table.audited.member).sum())
    return beyond_delta(max(found, key=lambda each: each.low), table.certified.delta, trials)


def beyond_delta(bound: Estimate, delta: float, non_members: int) -> Estimate:
    """Return a bound on epsilon without what `delta` alone allows at the smallest rate that can be resolved.

    >>> beyond_delta(Estimate(1.0, 0.5, 1.5, 0.95), 0.0, 1000).low
    0.5
    """
    allowed = delta * non_members / FALSE_POSITIVES_NEEDED
    value, low, high = (math.log(max(math.exp(each) - allowed, 1.0)) for each in (bound.value, bound.low, bound.high))
    return replace(bound, value=value, low=low, high=high, level=LEVEL)


EPSILON_SHOWN = Measure[Estimate](
    name="epsilon_shown",
    title="Epsilon shown by attacks",
    sentence="Whatever was guaranteed, the attacks show that epsilon is not below the lower end of this interval.",
    kind=Estimate,
    compute=epsilon_shown,
    unit="lower bound",
    span=(0.0, 1e6),
    better="lower",
    order=65,
    glossary=False,
    absent=CERTIFIED_EPSILON.absent,
)
