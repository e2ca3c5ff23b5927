"""The largest advantage that an attack can have under the guarantee of the training (Humphries et al. 2023)."""

from quantmis.measures.certified_epsilon import CERTIFIED_EPSILON, certified_epsilon
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured
from quantmis.theory.privacy import largest_advantage


def certified_advantage(version: ScoredVersion) -> float | Unmeasured | None:
    """Return (e^epsilon - 1 + 2 delta) / (e^epsilon + 1), the most that TPR - FPR can be."""
    epsilon, certified = certified_epsilon(version), version.table.certified
    if certified is None or isinstance(epsilon, Unmeasured):
        return None if certified is None else epsilon
    return largest_advantage(certified.epsilon, certified.delta)


CERTIFIED_ADVANTAGE = Measure[float](
    name="certified_advantage",
    title="Advantage at most, by the certificate",
    sentence="No attack, known or unknown, can find a larger share of members than of false alarms by more than this.",
    kind=float,
    compute=certified_advantage,
    unit="number",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=66,
    glossary=False,
    absent=CERTIFIED_EPSILON.absent,
)
