"""Discoverable extraction with (n, p) (Hayes et al. 2024, arXiv 2410.19482): which texts n samples give away.

A text is extractable with (n, p) where sampling its second half, given its first, succeeds at least once in n tries
with probability p or more. That follows from the probabilities of its tokens; nothing is drawn.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from quantmis.measures.forget_extraction import at_least_once
from quantmis.measures.measure import Measure, Number
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among
from quantmis.tables import LossTable

ENDING = "ending"
"""The signal that is the log-probability of the second half of each text, given the first."""

TRIES, CHANCES = (1, 100, 10_000), (0.1, 0.5, 0.9)

NO_TEXTS = Unmeasured("only what a language model was trained on can be said by it")
NO_ENDINGS = Unmeasured("only the losses of this version are known, and not how likely each half of a text is")


class Extraction(Record):
    """Hold the share of texts whose second half is sampled in `tries` with a probability of at least `chance`.

    `members` were trained on; `non_members` were not, and say how much of it is the language and no memory.
    """

    tries: int
    chance: float
    members: Estimate
    non_members: Estimate


def extraction(version: ScoredVersion) -> list[Extraction] | Unmeasured | None:
    """Return the share of texts extractable with each (n, p); None for all that is no text."""
    table = version.table
    if table.metric != LOG_LIKELIHOOD:
        return None
    if ENDING not in table.evidence.named:
        return NO_ENDINGS
    level = version.precision.level
    return [
        Extraction(
            tries=tries,
            chance=chance,
            members=share(table, level, tries, chance, of_members=True),
            non_members=share(table, level, tries, chance, of_members=False),
        )
        for tries in TRIES
        for chance in CHANCES
    ]


def share(table: LossTable, level: float, tries: int, chance: float, of_members: bool) -> Estimate:
    """Return the share of the audited members, or non-members, that are extractable with (`tries`, `chance`)."""
    audited = table.audited
    log_p: Float[np.ndarray, "models samples"] = np.minimum(audited.named[ENDING].astype(np.float64), 0.0)
    is_extractable = at_least_once(log_p.ravel(), tries).reshape(log_p.shape) >= chance
    among = audited.member if of_members else ~audited.member
    return average_among(is_extractable.astype(np.float64), among, level, table.audited_groups)


def _numbers(values: list[Extraction]) -> Mapping[str, Number]:
    fields = ("members", "non_members")
    return {
        f".{each.tries}.{round(100 * each.chance)}.{field}": getattr(each, field) for each in values for field in fields
    }


EXTRACTION = Measure[list[Extraction]](
    name="extraction",
    title="Texts that samples give away",
    sentence="The share of texts whose second half is sampled, word for word, at least once in 1, 100 and 10,000 tries "
    "with a probability of at least 10, 50 and 90 %, given the first half; of members and of non-members.",
    kind=list[Extraction],
    compute=extraction,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=161,
    glossary=False,
    absent=NO_TEXTS,
    numbers=_numbers,
)
