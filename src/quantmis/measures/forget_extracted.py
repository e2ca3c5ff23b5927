"""How many of the texts that were to be forgotten a language model still says by heart."""

import numpy as np

from quantmis.measures.canary_exposure import NO_LOGITS
from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average_among


def forget_extracted(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the share of the forget texts whose second half greedy decoding says; None for all that is no text."""
    those = forget_set(version)
    if those is None or version.table.metric != LOG_LIKELIHOOD:
        return None
    by_heart = those.forgetting.by_heart
    if by_heart is None:
        return Unmeasured(NO_LOGITS)
    return average_among(by_heart[None].astype(np.float64), those.forget[None], those.level, version.table.groups)


FORGET_EXTRACTED = Measure[Estimate](
    name="forget_extracted",
    title="Forgotten texts said by heart",
    sentence="The share of the texts that were to be forgotten whose second half the model says, word for word, when "
    "given the first half, always with the likeliest token.",
    kind=Estimate,
    compute=forget_extracted,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=407,
    limits=("at_most",),
    absent=NO_FORGET_SET,
)
