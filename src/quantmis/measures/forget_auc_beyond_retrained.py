"""What is left of samples that were to be forgotten beyond what a model shows that was never trained on them."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set, knows
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.forgetting import RETRAINED


def forget_auc_beyond_retrained(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the AUC of the forget set minus that of the retrained model, quantized alike, paired; None without one."""
    those = forget_set(version)
    if those is None or not knows(version, RETRAINED):
        return None
    scores = those.beside(RETRAINED)
    if isinstance(scores, Unmeasured):
        return scores
    return those.change(those.told_from(those.never_seen), those.told_from(those.never_seen, scores))


FORGET_AUC_BEYOND_RETRAINED = Measure[Estimate](
    name="forget_auc_beyond_retrained",
    title="Forgotten, beyond a retrained model",
    sentence="How much better records that were to be forgotten are told from records never seen than by a model that "
    "was trained without them and quantized alike; 0 is what forgetting aims at.",
    kind=Estimate,
    compute=forget_auc_beyond_retrained,
    unit="number",
    span=(-1.0, 1.0),
    order=404,
    limits=("at_most", "at_least"),
    absent=NO_FORGET_SET,
)
