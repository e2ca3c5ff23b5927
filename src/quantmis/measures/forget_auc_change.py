"""What quantizing brings back of samples that were to be forgotten."""

from quantmis.measures.attack_accuracy_change import ITSELF
from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def forget_auc_change(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the AUC of the forget set minus that in full precision, paired on the same samples; None without one."""
    those, whole = forget_set(version), forget_set(version.full_precision)
    if those is None or whole is None:
        return None
    if version.is_full_precision:
        return Unmeasured(ITSELF)
    return those.change(those.told_from(those.never_seen), whole.told_from(whole.never_seen))


FORGET_AUC_CHANGE = Measure[Estimate](
    name="forget_auc_change",
    title="Forgotten, change against full precision",
    sentence="How much better records that were to be forgotten are told from records that the model never saw than in "
    "full precision, on the same records; above 0 where quantizing brings something back.",
    kind=Estimate,
    compute=forget_auc_change,
    unit="number",
    span=(-1.0, 1.0),
    better="lower",
    order=401,
    limits=("at_most",),
    absent=NO_FORGET_SET,
)
