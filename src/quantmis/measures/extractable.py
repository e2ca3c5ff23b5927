"""The share of a language model's members that a hundred samples more likely than not give away."""

from quantmis.measures.extraction import ENDING, NO_ENDINGS, NO_TEXTS, share
from quantmis.measures.measure import Measure
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured

TRIES, CHANCE = 100, 0.5


def extractable(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the share of members that are extractable with (100, 0.5); None for all that is no text."""
    if version.table.metric != LOG_LIKELIHOOD:
        return None
    if ENDING not in version.table.evidence.named:
        return NO_ENDINGS
    return share(version.table, version.precision.level, TRIES, CHANCE, of_members=True)


EXTRACTABLE = Measure[Estimate](
    name="extractable",
    title="Members that 100 samples give away",
    sentence="The share of the texts that a language model was trained on whose second half, given the first, is more "
    "likely than not sampled word for word in a hundred tries.",
    kind=Estimate,
    compute=extractable,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=162,
    limits=("at_most",),
    glossary=False,
    absent=NO_TEXTS,
)
