"""Claims about what quantizers that look at data are shown, and about quantizing a group of models at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from resumable import requested, work
from torch import nn

import quantmis as qm
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.keys import keys_of
from quantmis.audit.run import run
from quantmis.quantizers import GPTQ, QUANTIZERS, Quantized, Quantizer, Uniform
from quantmis.quantizers.base import Change, Generators

CALIBRATED = ["gptq(bits=3)", "adaround(bits=3, iterations=20)", "matched_noise(of=gptq(bits=2))"]


@dataclass(frozen=True)
class Witness(Quantizer):
    """Uniform, keeping what it was shown."""

    name: ClassVar[str] = "witness"
    needs_calibration: ClassVar[bool] = True
    shown: ClassVar[list[torch.Tensor]] = []

    def apply(
        self, models: list[nn.Module], calibration: list[torch.Tensor] | None, generators: Generators
    ) -> list[Change]:
        self.shown.extend(calibration or [])
        return Uniform(bits=4).apply(models, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["held_out", "members"])
def test_quantizers_see_what_they_were_promised(where: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(QUANTIZERS._own, "witness", Witness)
    plan = work(quantizers=["witness"], calibrate_on=where, checkpoint_every=None)
    Witness.shown.clear()
    compute(plan, plan.job(plan.groups()[0]))
    x = torch.from_numpy(plan.samples.x)
    for index, shown in zip(plan.groups()[0], Witness.shown, strict=False):
        seen = (x[None].float() == shown[:, None].float()).flatten(2).all(2).any(0).numpy()
        expected = plan.member[index] if where == "members" else ~plan.member.any(0)
        assert seen.sum() >= 0.9 * len(shown)
        assert not (seen & ~expected).any()
    assert len({len(shown) for shown in Witness.shown}) == 1


def test_models_calibrated_on_members_do_not_meet_stored_groups_of_others():
    plans = [work(calibrate_on=where) for where in ("held_out", "members")]
    assert set(keys_of(plans[0])).isdisjoint(keys_of(plans[1]))


@pytest.mark.slow
def test_a_group_quantized_at_once_is_the_group_quantized_one_by_one(monkeypatch: pytest.MonkeyPatch):
    plan = work(quantizers=[*CALIBRATED, "stochastic_rounding(bits=3)", "k_means(bits=2)"], calibrate_on="members")
    together = compute(plan, plan.job(plan.groups()[0]))
    at_once = Quantizer.quantize_many

    def one_by_one(
        self: Quantizer, models: list[nn.Module], calibration: list[torch.Tensor] | None, generators: Generators
    ) -> list[Quantized]:
        inputs = calibration or [None] * len(models)
        return [
            at_once(self, [model], None if each is None else [each], [stream])[0]
            for model, each, stream in zip(models, inputs, generators, strict=True)
        ]

    monkeypatch.setattr(Quantizer, "quantize_many", one_by_one)
    alone = compute(plan, plan.job(plan.groups()[0]))
    for number, rows in together.versions.items():
        other = alone.versions[number]
        assert [each.fingerprint for each in rows.traits] == [each.fingerprint for each in other.traits]
        assert all(np.array_equal(value, other.arrays[name]) for name, value in rows.arrays.items())


@pytest.mark.usefixtures("unchecked")
def test_another_source_of_calibration_is_refused():
    with pytest.raises(qm.UserError, match="unknown calibrate_on 'train'"):
        requested(calibrate_on="train")


@pytest.mark.slow
def test_the_document_says_where_calibration_came_from():
    document = run(requested(quantizers=[GPTQ(bits=3)], calibrate_on="members"), progress=False).document
    assert document.config.calibrate_on == "members"
    assert "calibrate_on='members'" in document.reproduce.python
