"""Claims about the one copy of a target's model: a version is made in it and undone, wherever the audit writes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.audit.target.open_model import OpenModel
from quantmis.quantizers import QUANTIZERS


@pytest.mark.parametrize("place", ["not/yet", ".", None])
def test_a_version_is_undone_wherever_an_audit_will_write(tmp_path: Path, place: str | None):
    model = nn.Sequential(nn.Linear(8, 3))
    before = model[0].weight.detach().clone()
    target = qm.Target(model, np.arange(16), np.arange(16, 32))
    opened = OpenModel(target, qm.Task(lambda: nn.Sequential(nn.Linear(8, 3))), place and tmp_path / place)
    with opened.quantized(QUANTIZERS.parse("sign"), None, torch.Generator()):
        inside = opened.module[0].weight.detach().clone()
    assert len(inside.abs().unique()) == 1
    assert torch.equal(opened.module[0].weight, before)
    assert not (tmp_path / "not").exists()
