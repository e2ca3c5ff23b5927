"""How often an attacker is right who has one version of a release set: the one that gives away most."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredRelease
from quantmis.stats import Estimate, Unmeasured


def release_strongest_alone(release: ScoredRelease) -> Estimate | Unmeasured:
    """Return the balanced accuracy of the strongest attack on the strongest version, chosen on other samples."""
    return release.alone.accuracy


RELEASE_STRONGEST_ALONE = Measure[Estimate](
    name="release_strongest_alone",
    title="With the strongest alone",
    sentence="How often the strongest attack is right that reads one version of a release set alone, the one that "
    "gives away most. Which one that is was found on other records than those that it is measured on.",
    kind=Estimate,
    compute=release_strongest_alone,
    subject="release set",
    unit="share",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    shown=frozenset({"release"}),
    order=310,
    chance=0.5,
)
