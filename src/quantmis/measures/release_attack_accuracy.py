"""How often an attacker is right who has every version of a release set."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredRelease
from quantmis.stats import Estimate, Unmeasured


def release_attack_accuracy(release: ScoredRelease) -> Estimate | Unmeasured:
    """Return the balanced accuracy of the strongest joint attack; never below a coin's."""
    return release.together.accuracy


RELEASE_ATTACK_ACCURACY = Measure[Estimate](
    name="release_attack_accuracy",
    title="An attacker with all of them is right",
    sentence="How often the strongest attack on several versions at once decides rightly, when half the records it is "
    "asked about are members: 50 % is a coin. Whoever publishes several versions publishes them all.",
    kind=Estimate,
    compute=release_attack_accuracy,
    subject="release set",
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"release"}),
    order=300,
    limits=("at_most",),
    chance=0.5,
)
