"""Claims about groups in whole audits: one half, one fold, one cluster, at every depth, and clear errors."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import quantmis as qm
from quantmis.analysis.controls import _another
from quantmis.attacks import LossThreshold
from quantmis.audit.options import AuditOptions
from quantmis.audit.settings import Settings
from quantmis.audit.target.versions import calibration_rows
from quantmis.errors import UserError
from quantmis.measures.auc import AUC
from quantmis.models import Recipe
from quantmis.quantizers import Identity
from quantmis.results import AttackMetrics, TargetResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.saved import read_table
from quantmis.verify import verify

GROUPS, SIZE = 40, 6
GROUP = np.repeat(np.arange(GROUPS), SIZE)
ROWS = np.arange(GROUPS * SIZE)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))


def samples(groups: np.ndarray | None, seed: int = 0) -> qm.Samples:
    """Rows that resemble those of their patient, with one target each patient."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(GROUPS, 5))[GROUP] + 0.1 * draw.normal(size=(len(ROWS), 5))
    return qm.Samples(x, draw.integers(0, 2, GROUPS)[GROUP], groups=groups)


def as_is(groups: np.ndarray | None, **more: object):
    half = len(ROWS) // 2
    target = qm.Target(net(), ROWS[:half], ROWS[half:])
    task = qm.Task(net, name="mlp")
    return qm.audit(task, samples(groups), target=target, quantizers=["sign"], progress=False, **more).document


def auc(document, version: str = "identity") -> Estimate:
    found = document.version(version).attacks["loss_threshold"].adaptive
    assert isinstance(found, AttackMetrics)
    assert isinstance(found[AUC], Estimate)
    return found[AUC]


@pytest.mark.slow
def test_an_as_is_audit_counts_a_group_once(tmp_path: Path):
    grouped, single = as_is(GROUP, out=tmp_path / "a"), as_is(None)
    assert grouped.data.groups == GROUPS
    assert "clustered by group of samples" in auc(grouped).method
    assert auc(grouped).high - auc(grouped).low > 1.5 * (auc(single).high - auc(single).low)
    assert not verify(tmp_path / "a").edited
    table = read_table(tmp_path / "a" / "tables" / "target" / "sign.npz", "sign", "target")
    groups = table.evidence.groups
    assert groups is not None
    assert len(np.unique(groups)) == GROUPS
    assert len(np.unique(np.stack([groups, GROUP]), axis=1).T) == GROUPS


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "models"), [("indicator", {"replicates": 4}), ("shadow", {"shadows": 8})])
def test_an_audit_that_trains_counts_a_group_once(tmp_path: Path, depth: str, models: dict[str, int]):
    task = qm.Task(net, recipe=Recipe(epochs=1, batch_size=32))
    found = qm.audit(
        task, samples(GROUP), quantizers=["sign"], out=tmp_path / "a", depth=depth, progress=False, **models
    )
    document = found.document
    assert document.config.depth == depth
    assert not verify(tmp_path / "a").edited
    said = document.model_dump_json(exclude_none=True)
    assert "group of samples" in said
    assert "clustered by sample" not in said.replace("clustered by sample; about", "")
    member = read_table(tmp_path / "a" / "tables" / "sign.npz", "sign", "models").evidence.member
    assert (member == member[:, GROUP * SIZE]).all()
    assert all(control.passed is not False for control in document.controls if control.name.startswith("shuffled"))


def test_a_shuffled_membership_keeps_groups_whole():
    member = np.repeat(np.arange(GROUPS) < GROUPS // 2, SIZE)[None]
    for models in (1, 6):
        drawn = _another(np.repeat(member, models, axis=0), 3, GROUP)
        assert (drawn == drawn[:, GROUP * SIZE]).all()
        assert (drawn.sum(1) == len(ROWS) // 2).all()
        assert (drawn[0] != member[0]).any()


@pytest.mark.slow
def test_the_sets_without_the_model_are_compared_by_groups():
    target = as_is(GROUP).target
    assert isinstance(target, TargetResult)
    assert not isinstance(target.blind, Unmeasured)
    assert "group of samples" in target.blind.auc.method
    few = as_is(np.where(len(ROWS) // 2 > ROWS, ROWS // 60, 10 + ROWS // 60)).target
    assert isinstance(few, TargetResult)
    assert isinstance(few.blind, Unmeasured)
    assert "5 are needed" in few.blind.reason


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.roll(GROUP, 2), "both members and non-members|both among members and among non-members"),
        (np.zeros(len(ROWS), dtype=int), "all samples are of one group|both members and non-members"),
        (ROWS, "every sample is a group of its own"),
    ],
)
def test_groups_that_make_no_sense_are_refused_before_anything_is_computed(groups: np.ndarray, message: str):
    with pytest.raises(UserError, match=message):
        as_is(groups)


def test_calibration_takes_whole_groups(monkeypatch: pytest.MonkeyPatch):
    half = len(ROWS) // 2
    target = qm.Target(net(), ROWS[:half], ROWS[half:])
    made = importlib.import_module("quantmis.audit.target.versions")
    monkeypatch.setattr(made, "needs_calibration", lambda quantizer: True)
    settings = Settings((Identity(),), (LossThreshold(),), 0, 0, AuditOptions())
    shown = np.ones(len(ROWS), dtype=bool)
    for groups in (GROUP, ROWS % 2 + 2 * (half <= ROWS), ROWS // half * 10 + ROWS % 4):
        rows = calibration_rows(target, settings, shown, groups)
        rest = np.setdiff1d(target.non_members, rows)
        assert 0 < len(rows) <= half // 2
        assert not set(groups[rows]) & set(groups[rest])
    np.testing.assert_array_equal(calibration_rows(target, settings, shown), ROWS[half : half + half // 4])


@pytest.mark.slow
def test_copies_count_as_one_and_are_told():
    draw = np.random.default_rng(0)
    x, y = np.tile(draw.normal(size=(60, 5)), (4, 1)), np.tile(draw.integers(0, 2, 60), 4)
    members = np.flatnonzero(np.tile(np.arange(60) < 30, 4))
    target = qm.Target(net(), members, np.setdiff1d(ROWS, members))
    task = qm.Task(net, name="mlp")
    copied = qm.audit(task, qm.Samples(x, y), target=target, quantizers=[], progress=False).document
    assert copied.data.copies == 180
    assert "QM017" in [each.code for each in copied.warnings]
    once = qm.Target(net(), np.arange(30), np.arange(30, 60))
    single = qm.audit(task, qm.Samples(x[:60], y[:60]), target=once, quantizers=[], progress=False).document
    assert "QM017" not in [each.code for each in single.warnings]
    width = [each.high - each.low for each in (auc(copied), auc(single))]
    assert width[0] > 0.6 * width[1]  # of another untrained model: four times the rows would halve it
