"""A ranking lists what gives away less beyond doubt first, and by distortion what cannot be told apart."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantmis.analysis import AnalysisSettings, analyse
from quantmis.analysis.ranking import rank
from quantmis.analysis.scoring import each_other
from quantmis.attacks import LossThreshold, PairedReplicates
from quantmis.evidence import Evidence
from quantmis.stats import Difference, Estimate
from quantmis.tables import LossTable, VersionTraits
from quantmis.testing import leaky_table

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


def versions(*tables: Evidence) -> list[LossTable]:
    """Loss tables of versions of the same models, all columns audited."""
    traits = (VersionTraits("", 8.0, 0.0, 10, []),) * tables[0].models
    every = np.ones(tables[0].samples, dtype=bool)
    names = ["identity", *(f"version {number}" for number in range(1, len(tables)))]
    return [
        LossTable(name, each, None, None, "accuracy", traits, every, ~every)
        for name, each in zip(names, tables, strict=True)
    ]


def test_a_version_that_merely_looks_less_exposed_is_told_of_and_tied():
    member, draw = leaky_table(models=8, samples=400).member, np.random.default_rng(0)
    easy = np.arange(400) % 2 == 0  # what is easy leaks, and only shows where outputs are less sure
    margin = 6.0 * easy + draw.normal(size=member.shape) + np.where(easy, 3.0, 0.2) * member
    first, scaled = (Evidence(np.logaddexp(0, -each), member, signal=each) for each in (margin, margin / 4))
    settings = AnalysisSettings((LossThreshold(), PairedReplicates()), 0, 8, 0, 0.95)
    tables = versions(first, scaled)
    subject = analyse(tables, each_other(tables), settings)
    [pair] = subject.contradicted(0.95)
    assert set(pair) == {"identity", "version 1"}
    assert subject.ranking(0.95).rows[0].tied
    assert analyse(tables[:1], each_other(tables[:1]), settings).contradicted(0.95) == []


def test_every_row_of_a_ranking_says_what_holds_after_a_choice():
    tables = versions(*(leaky_table(leak=leak, models=8, samples=200) for leak in (2.0, 0.5, 1.0)))
    settings = AnalysisSettings((LossThreshold(),), 8, 8, 0, 0.95)
    subject = analyse(tables, each_other(tables), settings)
    rows = {row.name: row for row in subject.ranking(0.95).rows}
    for each in subject.scored:
        alone, chosen = each.bound.accuracy, rows[each.table.name].chosen
        assert isinstance(alone, Estimate)
        assert chosen is not None
        assert chosen.low <= alone.low
        assert alone.high < chosen.high
    assert rows["version 1"].at_most_more == min(row.at_most_more for row in rows.values())
    assert rows["identity"].at_most_more >= 0.1
