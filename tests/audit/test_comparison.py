"""A ranking lists what gives away less beyond doubt first, and by distortion what cannot be told apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from quantmis.analysis.ranking import rank
from quantmis.stats import Difference, Estimate

NAMES = [f"version {number}" for number in range(7)]
VALUES = st.lists(st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES), unique=True)
PAIRS = list(combinations(NAMES, 2))


def pairs(exposure: dict[str, float], told: list[bool]) -> list[Difference]:
    return [
        Difference(a, b, Estimate(exposure[a] - exposure[b], -1, 1), p, p)
        for (a, b), p in zip(PAIRS, (0.001 if each else 0.5 for each in told), strict=True)
    ]


@given(VALUES, VALUES, st.lists(st.booleans(), min_size=len(PAIRS), max_size=len(PAIRS)))
def test_nothing_stands_above_what_gives_away_less_beyond_doubt(
    values: list[float], upset: list[float], told: list[bool]
):
    exposure, distortion = (dict(zip(NAMES, each, strict=True)) for each in (values, upset))
    compared = pairs(exposure, told)
    rows = rank(exposure, compared, 0.95, distortion)
    place = {row.name: number for number, row in enumerate(rows)}
    certain = [pair for pair in compared if pair.adjusted < 0.05]
    assert sorted(place) == NAMES
    for pair in certain:
        less, more = sorted((pair.first, pair.second), key=exposure.__getitem__)
        assert place[less] < place[more]
    for row in rows:
        below = {n for pair in certain for n in (pair.first, pair.second) if row.name in (pair.first, pair.second)}
        assert row.rank == 1 + sum(exposure[name] < exposure[row.name] for name in below)
        assert len(row.tied) == sum(row.name in (pair.first, pair.second) for pair in compared if pair not in certain)


@given(VALUES, VALUES)
def test_what_cannot_be_told_apart_is_listed_by_distortion_and_else_by_exposure(
    values: list[float], upset: list[float]
):
    exposure, distortion = (dict(zip(NAMES, each, strict=True)) for each in (values, upset))
    nothing = pairs(exposure, [False] * len(PAIRS))
    listed = [row.name for row in rank(exposure, nothing, 0.95, distortion)]
    assert listed == sorted(NAMES, key=distortion.__getitem__, reverse=True)
    assert [row.name for row in rank(exposure, nothing, 0.95)] == sorted(NAMES, key=exposure.__getitem__)
    alike = dict.fromkeys(NAMES, 0.5)
    assert [row.name for row in rank(exposure, nothing, 0.95, alike)] == sorted(NAMES, key=exposure.__getitem__)
