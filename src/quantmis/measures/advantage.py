"""The membership advantage of one attack (Yeom et al. 2018)."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import AttackOutcome
from quantmis.stats import Estimate, Unmeasured


def advantage(outcome: AttackOutcome) -> Estimate | Unmeasured:
    """Return TPR - FPR at a threshold chosen on one half of the samples and measured on the other."""
    return outcome.metrics.advantage


ADVANTAGE = Measure[Estimate](
    name="advantage",
    title="Advantage",
    sentence="The share of members found minus the share of false alarms, at the attacker's best threshold.",
    kind=Estimate,
    compute=advantage,
    subject="attack",
    unit="number",
    span=(-1.0, 1.0),
    better="lower",
    shown=frozenset({"attacks"}),
    order=220,
)
