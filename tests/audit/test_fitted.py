"""Claims about audits of versions that are fitted to labels: whose they are, and that nothing is measured on them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from resumable import Small, requested, work
from torch import nn

import quantmis as qm
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.keys import keys_of
from quantmis.audit.execution.work import fitting_rows
from quantmis.audit.run import run
from quantmis.quantizers import QUANTIZERS, Quantizer, Supervision, Uniform
from quantmis.quantizers.base import Change, Generators
from quantmis.verify import verify

PROTECTIVE = "protective(iterations=5)"


@dataclass(frozen=True)
class Witness(Quantizer):
    """Uniform, keeping what it was shown."""

    name: ClassVar[str] = "witness"
    needs_calibration: ClassVar[bool] = True
    needs_supervision: ClassVar[bool] = True
    shown: ClassVar[list[Supervision]] = []

    def apply(
        self, models: list[nn.Module], calibration: list[torch.Tensor] | None, generators: Generators
    ) -> list[Change]:
        return Uniform(bits=4).apply(models, None, None)

    def apply_supervised(
        self, models: list[nn.Module], shown: list[Supervision], generators: Generators
    ) -> list[Change]:
        self.shown.extend(shown)
        return self.apply(models, None, generators)


def test_each_model_is_shown_its_own_members_and_what_no_attack_and_no_utility_reads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(QUANTIZERS._own, "witness", Witness)
    plan = work(quantizers=["witness"], checkpoint_every=None, shadows=4, replicates=4)
    Witness.shown.clear()
    group = plan.groups()[0]
    compute(plan, plan.job(group))
    for index, shown in zip(group, Witness.shown, strict=False):
        assert shown.members.rows.tolist() == np.flatnonzero(plan.member[index]).tolist()
        assert shown.held_out.rows.tolist() == np.flatnonzero(plan.is_fitted).tolist()
    never = ~plan.member.any(axis=0)
    assert plan.is_fitted.sum() == never.sum() // 2
    assert not (plan.is_fitted & (plan.is_held_out | plan.member.any(axis=0))).any()
    assert np.array_equal(plan.is_fitted | plan.is_held_out, never)


def test_nothing_is_set_apart_where_nothing_is_fitted():
    plan = work(shadows=4, replicates=4)
    assert not plan.is_fitted.any()
    assert np.array_equal(plan.is_held_out, ~plan.member.any(axis=0))


def test_samples_of_one_group_are_fitted_to_together_or_not_at_all():
    is_free, groups = np.arange(40) < 30, np.arange(40) // 3
    rows = fitting_rows(is_free, 0, groups)
    assert 12 <= rows.sum() <= 18
    assert not rows[~is_free].any()
    sizes = [int(rows[groups == each].sum()) for each in np.unique(groups[is_free])]
    assert set(sizes) == {0, 3}


def test_a_version_that_is_fitted_does_not_meet_stored_rows_of_other_held_out_samples():
    plain, fitted = (work(quantizers=each, shadows=4, replicates=4) for each in (["sign"], ["sign", PROTECTIVE]))
    assert set(keys_of(plain)).isdisjoint(keys_of(fitted))


@pytest.mark.slow
def test_an_audit_with_a_fitted_version_can_be_verified(tmp_path: Path):
    run(requested(tmp_path, quantizers=["sign", PROTECTIVE], shadows=4, replicates=4), progress=False)
    assert verify(tmp_path).edited == []
    with np.load(tmp_path / "tables" / "sign.npz") as table:
        assert table["is_fitted"].any()
        assert not (table["is_fitted"] & table["is_held_out"]).any()


def digits_target(non_members: np.ndarray) -> tuple[qm.Samples, qm.Target]:
    samples = requested().samples
    return samples, qm.Target(Small(), np.arange(100), non_members)


def test_a_target_is_fitted_to_samples_that_attacks_know_nothing_of():
    samples, target = digits_target(np.arange(100, 220))
    result = qm.audit(qm.Task(Small), samples, target=target, quantizers=[PROTECTIVE], progress=False)
    version = result.document.version(PROTECTIVE)
    assert version["bits_per_weight"] < 8
    assert result.document.target.non_members == 120


def test_a_target_without_samples_to_fit_to_is_refused():
    samples, target = digits_target(np.arange(100, 300))
    with pytest.raises(qm.UserError, match="neither members nor non-members of the model, and 0 are not"):
        qm.audit(qm.Task(Small), samples, target=target, quantizers=[PROTECTIVE], progress=False)
