"""Findings that are read off the loss tables: members that do worse, and samples on scales that lie far apart."""

import numpy as np
import pytest

from quantmis.analysis import AnalysisSettings, analyse, findings
from quantmis.analysis.data_findings import columns_far_apart
from quantmis.analysis.scoring import each_other
from quantmis.attacks import LiRA, LossThreshold, PairedReplicates
from quantmis.data import Samples
from quantmis.evidence import Evidence
from quantmis.results import Data
from quantmis.stats import Unmeasured
from quantmis.tables import LossTable, VersionTraits

SAMPLES, MODELS = 200, 8
TRAITS = VersionTraits("f" * 64, 32.0, 0.0, 10, [])
DATA = Data(samples=SAMPLES, held_out=20, members_per_model=90, features=[3], classes=None, digest="0" * 64, notes=())


def codes(shift: float, scale: float = 1.0, attack: LiRA | LossThreshold | None = None) -> list[str]:
    """Return the findings about losses of models that are `shift` higher for members, one sample `scale` as wide."""
    draw = np.random.default_rng(0)
    half = draw.permuted(np.tile(np.arange(SAMPLES - 20) < SAMPLES // 2 - 10, (MODELS // 2, 1)), axis=1)
    member = np.zeros((MODELS, SAMPLES), dtype=bool)
    member[:, 20:] = np.stack([half, ~half], axis=1).reshape(MODELS, SAMPLES - 20)
    losses = np.abs(draw.normal(size=member.shape)) + 3 + shift * member
    losses[:, -1] *= scale
    held_out = np.arange(SAMPLES) < 20
    table = LossTable("identity", Evidence(losses, member), losses, None, "r2", (TRAITS,) * MODELS, ~held_out, held_out)
    settings = AnalysisSettings((attack or LossThreshold(),), MODELS, 4, 0, 0.95)
    done = analyse([table], each_other([table]), settings)
    found = findings.find(list(done.records), [], [], settings, {}, [], DATA, Unmeasured("none"), (done,))
    return [each.code for each in found if each.code in ("QM015", "QM016")]


def test_members_that_do_worse_beyond_doubt_are_a_finding():
    assert codes(shift=1.0) == ["QM016"]
    assert codes(shift=-1.0) == []


def test_where_nothing_leaks_a_direction_that_was_chosen_by_chance_is_no_finding():
    assert codes(shift=0.0) == []


@pytest.mark.parametrize("scale", [2e3, 1e6])
def test_a_sample_on_another_scale_is_a_finding_and_decides_for_no_other(scale: float):
    assert codes(shift=-1.0, scale=scale, attack=LiRA()) == ["QM015"]


def test_samples_that_vary_a_hundred_times_as_far_are_none():
    assert codes(shift=-1.0, scale=1e2, attack=LiRA()) == []


@pytest.mark.parametrize(("apart", "expected"), [(None, []), (99.0, []), (100.0, ["QM021"])])
def test_columns_on_scales_a_hundred_times_apart_are_a_finding(apart: float | None, expected: list[str]):
    data = DATA.model_copy(update={"columns_apart": apart})
    assert [code for code, _ in columns_far_apart(data)] == expected


def test_how_far_columns_lie_apart_is_the_largest_spread_over_the_median_of_those_that_vary():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(500, 5)) * [1.0, 2.0, 0.0, 3.0, 5e4]
    measured = Samples(x, np.arange(500) % 2).columns_apart
    assert measured == pytest.approx(np.std(x[:, 4]) / np.median(np.std(x[:, [0, 1, 3, 4]], axis=0)), rel=1e-4)
    assert Samples(draw.integers(9, size=(30, 4)), np.arange(30) % 2).columns_apart is None
    assert Samples(np.zeros((30, 4)), np.arange(30) % 2).columns_apart is None


def spared(noise_of_members: float) -> list[str]:
    """Return the findings about models whose second version adds noise to all samples but less to members."""
    draw = np.random.default_rng(0)
    half = draw.permuted(np.tile(np.arange(8000) < 4000, (2, 1)), axis=1)
    member = np.zeros((4, 8400), dtype=bool)
    member[:, 400:] = np.stack([half, ~half], axis=1).reshape(4, 8000)
    signals = 3 * draw.normal(size=8400) + draw.normal(size=member.shape) + 3 * member
    noise = draw.normal(size=member.shape) * np.where(member, noise_of_members, 3.0)
    held_out = np.arange(8400) < 400
    tables = [
        LossTable(name, Evidence(9 - each, member, each), None, None, "r2", (TRAITS,) * 4, ~held_out, held_out)
        for name, each in (("identity", signals), ("sparing", signals + noise))
    ]
    settings = AnalysisSettings((LossThreshold(), PairedReplicates()), 0, 4, 0, 0.95)
    done = analyse(tables, each_other(tables), settings)
    found = findings.find(done.records, [], [], settings, {}, [], DATA, Unmeasured("no target"), [done])
    return [each.code for each in found]


def test_a_version_that_spares_members_contradicts_the_channel():
    assert "QM019" in spared(noise_of_members=0.0)


def test_noise_that_falls_on_all_alike_does_not_contradict_the_channel():
    assert "QM019" not in spared(noise_of_members=3.0)
