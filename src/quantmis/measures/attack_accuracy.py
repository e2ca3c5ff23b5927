"""How often the strongest attack is right: its balanced accuracy, the headline of every audit."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured


def attack_accuracy(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return the balanced accuracy of the attack behind the upper bound on security; never below a coin's."""
    return version.bound.accuracy


ATTACK_ACCURACY = Measure[Estimate](
    name="attack_accuracy",
    title="An attacker is right",
    sentence="How often the strongest attack decides rightly, when half the records it is asked about are members "
    "(balanced attack accuracy): 50 % is a coin, 100 % is certainty. A better attack may exist, so it says how much is "
    "given away at least.",
    kind=Estimate,
    compute=attack_accuracy,
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"ranking"}),
    order=10,
    limits=("at_most",),
    chance=0.5,
)
