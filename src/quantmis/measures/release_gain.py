"""What an attacker gains who has every version of a release set rather than the strongest alone."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredRelease
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.cluster import pair_id
from quantmis.stats.compare import difference


def release_gain(release: ScoredRelease) -> Estimate | Unmeasured:
    """Return how much more often the strongest joint attack is right than the strongest on one version, paired."""
    joint, single = release.together.right, release.alone.right
    if joint is None or single is None:
        return next(
            each.accuracy for each in (release.together, release.alone) if isinstance(each.accuracy, Unmeasured)
        )
    return difference(joint, single, pair_id(release.member), release.level, release.groups)[0]


RELEASE_GAIN = Measure[Estimate](
    name="release_gain",
    title="Gained by having all, points",
    sentence="How much more often an attacker is right who has all versions of a release set than one who has the "
    "strongest of them alone, compared on the same models and samples; above 0, the versions give away more together "
    "than any of them does.",
    kind=Estimate,
    compute=release_gain,
    subject="release set",
    unit="share difference",
    span=(-1.0, 1.0),
    better="lower",
    shown=frozenset({"release"}),
    order=320,
    limits=("at_most",),
)
