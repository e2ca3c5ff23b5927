"""The area under the ROC curve of one attack."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import AttackOutcome
from quantmis.stats import Estimate


def auc(outcome: AttackOutcome) -> Estimate:
    """Return the probability that a member looks more like one than a non-member does; ties count half."""
    return outcome.metrics.auc


AUC = Measure[Estimate](
    name="auc",
    title="AUC",
    sentence="An attacker who accepts more false alarms finds more members; the ROC curve shows the exchange. AUC is "
    "the area under it: the probability that a member looks more like one than a non-member does. 0.5 is a coin.",
    kind=Estimate,
    compute=auc,
    subject="attack",
    unit="auc",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"attacks"}),
    order=210,
)
