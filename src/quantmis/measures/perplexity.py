"""What a version of a language model is worth, as people know it."""

import math

from quantmis.measures.measure import LARGEST, Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.measures.utility import utility
from quantmis.stats import Estimate, Unmeasured

LOG_LIKELIHOOD = "log_likelihood"
"""The metric of language models, higher is better; people are shown the perplexity, lower is better."""


def perplexity(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return exp of the negated mean log-likelihood of a token, which turns the ends of its interval round."""
    if version.table.metric != LOG_LIKELIHOOD:
        return None
    mean = utility(version)
    if isinstance(mean, Unmeasured):
        return mean
    value, low, high = (math.exp(-each) for each in (mean.value, mean.high, mean.low))
    return Estimate(value, low, high, mean.level, mean.method)


PERPLEXITY = Measure[Estimate](
    name="perplexity",
    title="Perplexity, lower is better",
    sentence="Of a language model: exp of the mean loss of a token of texts that it was not trained on; lower is "
    "better, and the size of the vocabulary is what guessing gives.",
    kind=Estimate,
    compute=perplexity,
    unit="perplexity",
    span=(1.0, LARGEST),
    better="lower",
    order=21,
    limits=("at_most",),
    glossary=False,
)
