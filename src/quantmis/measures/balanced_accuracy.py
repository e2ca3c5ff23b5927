"""How often one attack is right on as many members as non-members."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import AttackOutcome
from quantmis.stats import Estimate, Unmeasured


def balanced_accuracy(outcome: AttackOutcome) -> Estimate | Unmeasured:
    """Return (1 + TPR - FPR) / 2 at a threshold chosen on one half of the samples and measured on the other."""
    return outcome.metrics.balanced_accuracy


BALANCED_ACCURACY = Measure[Estimate](
    name="balanced_accuracy",
    title="Balanced accuracy",
    sentence="How often one attack is right, when half the records it is asked about are members; 50 % is a coin.",
    kind=Estimate,
    compute=balanced_accuracy,
    subject="attack",
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=230,
    glossary=False,
)
