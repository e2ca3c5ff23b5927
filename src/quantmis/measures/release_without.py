"""Which version of a release set adds most to what the others give away: each is left out in its turn."""

from collections.abc import Mapping

from quantmis.measures.measure import Measure, Number
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredRelease
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.stats.cluster import Linear, pair_id
from quantmis.stats.compare import difference
from quantmis.stats.selection import level_of_all


class LeftOut(Record):
    """Hold what an attacker gets from all versions of a release set but `version`, and what that one adds.

    `adds`: how much more often the attacker is right who has it too, paired; the intervals of all versions hold
    together, and so for the one that adds most.
    """

    version: str
    attack_accuracy: Estimate | Unmeasured
    adds: Estimate | Unmeasured


def release_without(release: ScoredRelease) -> list[LeftOut] | Unmeasured:
    """Return what is left of the joint attack without each version, in the order of the versions."""
    whole = release.together.right
    if whole is None or any(bound.right is None for bound in release.without.values()):
        return Unmeasured("the joint attack was not measured")
    level = _level(release, whole)
    return [
        LeftOut(version=name, attack_accuracy=bound.accuracy, adds=_adds(release, whole, bound, level))
        for name, bound in release.without.items()
    ]


def _level(release: ScoredRelease, whole: Linear) -> float:
    """Return the level at which the intervals of single versions hold all together; those that change nothing aside."""
    changes = [whole.influence - bound.right.influence for bound in release.without.values() if bound.right]
    nonzero = [each for each in changes if each.any()]
    return level_of_all(nonzero, release.member, release.level) if nonzero else release.level


def _adds(release: ScoredRelease, whole: Linear, without: Bound, level: float) -> Estimate:
    assert without.right is not None  # noqa: S101 for the type checker: looked at above
    gap, _ = difference(whole, without.right, pair_id(release.member), level, release.groups)
    method = f"holds for all {len(release.without)} versions together; {gap.method}"
    return Estimate(gap.value, gap.low, gap.high, release.level, method)


def _numbers(versions: list[LeftOut]) -> Mapping[str, Number]:
    return {
        f".{each.version}.{field}": getattr(each, field) for each in versions for field in ("attack_accuracy", "adds")
    }


RELEASE_WITHOUT = Measure[list[LeftOut]](
    name="release_without",
    title="Without one of them",
    sentence="How often an attacker is right who has all versions of a release set but one, and how much that one "
    "adds: the version that adds most is the one to leave out.",
    kind=list[LeftOut],
    compute=release_without,
    subject="release set",
    unit="share difference",
    span=(-1.0, 1.0),
    better="lower",
    order=330,
    numbers=_numbers,
)
