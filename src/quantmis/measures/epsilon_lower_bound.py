"""The lower bound on the epsilon of differential privacy that one attack gives."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import AttackOutcome
from quantmis.stats import Estimate, Unmeasured


def epsilon_lower_bound(outcome: AttackOutcome) -> Estimate | Unmeasured:
    """Return log(TPR / FPR) at held-out thresholds, which no (epsilon, 0)-private training exceeds; quote its `low`."""
    return outcome.metrics.epsilon_low


EPSILON_LOWER_BOUND = Measure[Estimate](
    name="epsilon_lower_bound",
    title="Epsilon at least",
    sentence="The training cannot have been differentially private with a smaller epsilon than this.",
    kind=Estimate,
    compute=epsilon_lower_bound,
    subject="attack",
    unit="lower bound",
    span=(0.0, 1e6),
    better="lower",
    shown=frozenset({"attacks"}),
    order=250,
    limits=("at_most",),
)
