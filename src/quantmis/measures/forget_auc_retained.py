"""How well samples that were to be forgotten are told from those that the model may remember."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def forget_auc_retained(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the AUC of the forget set against retained samples of the same classes; None without a forget set."""
    those = forget_set(version)
    return None if those is None else those.estimate(those.told_from(those.retained), those.retained)


FORGET_AUC_RETAINED = Measure[Estimate](
    name="forget_auc_retained",
    title="Forgotten against retained, AUC",
    sentence="The probability that a record that was to be forgotten looks more like a member than one of the same "
    "class that the model was trained on and may remember. 0.5 is not forgotten at all; the lower, the further apart.",
    kind=Estimate,
    compute=forget_auc_retained,
    unit="auc",
    span=(0.0, 1.0),
    bounded=True,
    order=402,
    absent=NO_FORGET_SET,
)
