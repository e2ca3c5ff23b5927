"""How well samples that were to be forgotten are told from samples that the model never saw."""

from quantmis.measures.forgotten import NO_FORGET_SET, forget_set
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def forget_auc(version: ScoredVersion) -> Estimate | Unmeasured | None:
    """Return the AUC of the forget set against samples that were never seen, of the same classes; None without one."""
    those = forget_set(version)
    return None if those is None else those.estimate(those.told_from(those.never_seen), those.never_seen)


FORGET_AUC = Measure[Estimate](
    name="forget_auc",
    title="Forgotten against never seen, AUC",
    sentence="The probability that a record that was to be forgotten looks more like a member than one of the same "
    "class that the model never saw. 0.5 is forgotten; above, something of it is left; below, the model does worse on "
    "it than on what it never saw, which gives it away as well.",
    kind=Estimate,
    compute=forget_auc,
    unit="auc",
    span=(0.0, 1.0),
    bounded=True,
    order=400,
    limits=("at_most", "at_least"),
    absent=NO_FORGET_SET,
)
