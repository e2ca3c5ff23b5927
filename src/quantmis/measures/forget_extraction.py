"""How likely texts that were to be forgotten come out in so many tries, beside texts that the model never saw."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from quantmis.measures.canary_exposure import NO_LOGITS
from quantmis.measures.forgotten import NO_FORGET_SET, ForgetSet, forget_set
from quantmis.measures.measure import Measure, Number
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among

TRIES = (1, 10, 100)


class ForgetExtraction(Record):
    """Hold how likely the second half of a text is sampled at least once in `tries`, given the first half.

    `forget`: of the texts that were to be forgotten, their mean; `never_seen`: of texts that the model never saw, which
    says how much of it is the language and no memory.
    """

    tries: int
    forget: Estimate
    never_seen: Estimate


def forget_extraction(version: ScoredVersion) -> list[ForgetExtraction] | Unmeasured | None:
    """Return the probability of at least one success by the number of tries; None for all that is no text."""
    those = forget_set(version)
    if those is None or version.table.metric != LOG_LIKELIHOOD:
        return None
    log_p = those.forgetting.log_probability
    if log_p is None:
        return Unmeasured(NO_LOGITS)
    return [
        ForgetExtraction(
            tries=n, forget=_mean(those, log_p, those.forget, n), never_seen=_mean(those, log_p, those.never_seen, n)
        )
        for n in TRIES
    ]


def at_least_once(log_p: Float[np.ndarray, " texts"], tries: int) -> Float[np.ndarray, " texts"]:
    """Return the probability of at least one success in `tries`, exact for small probabilities.

    >>> at_least_once(np.log(np.array([0.5, 1e-12])), 2).round(15).tolist()
    [0.75, 2e-12]
    """
    certain = log_p >= 0
    missed = np.log1p(-np.exp(np.where(certain, -1.0, log_p)))
    return np.where(certain, 1.0, -np.expm1(tries * missed))


def _mean(
    those: ForgetSet, log_p: Float[np.ndarray, " samples"], among: Bool[np.ndarray, " samples"], tries: int
) -> Estimate:
    values = np.where(among, at_least_once(np.where(among, log_p, 0.0), tries), 0.0)[None]
    mean = average_among(values, among[None], those.level, those.table.groups)
    return Estimate(mean.value, max(mean.low, 0.0), min(mean.high, 1.0), mean.level, mean.method)


def _numbers(values: list[ForgetExtraction]) -> Mapping[str, Number]:
    return {f".{each.tries}.{field}": getattr(each, field) for each in values for field in ("forget", "never_seen")}


FORGET_EXTRACTION = Measure[list[ForgetExtraction]](
    name="forget_extraction",
    title="Forgotten texts, sampled",
    sentence="How likely the second half of a text that was to be forgotten is sampled at least once in 1, 10 and 100 "
    "tries, given the first half; beside texts that the model never saw.",
    kind=list[ForgetExtraction],
    compute=forget_extraction,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=408,
    absent=NO_FORGET_SET,
    numbers=_numbers,
)
