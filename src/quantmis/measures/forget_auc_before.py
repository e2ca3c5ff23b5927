"""How well the samples were told from never seen ones before the model was made to forget them."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set, knows
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.forgetting import BEFORE


def forget_auc_before(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the AUC of the forget set under the earlier model, quantized alike; None where that was not given."""
    those = forget_set(version)
    if those is None or not knows(version, BEFORE):
        return None
    scores = those.beside(BEFORE)
    if isinstance(scores, Unmeasured):
        return scores
    return those.estimate(those.told_from(those.never_seen, scores), those.never_seen)


FORGET_AUC_BEFORE = Measure[Estimate](
    name="forget_auc_before",
    title="Before it was made to forget, AUC",
    sentence="How well the records were told from records that the model never saw before it was made to forget them, "
    "under the same quantizer: what there was to forget.",
    kind=Estimate,
    compute=forget_auc_before,
    unit="auc",
    span=(0.0, 1.0),
    bounded=True,
    order=403,
    absent=NO_FORGET_SET,
)
