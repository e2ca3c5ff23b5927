"""Where a language model is trained, quantized and scored is asked for; every tensor is where the model is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from other_device import DEVICE, OtherDevice
from tiny_models import sentences

import quantmis as qm
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.errors import UserError
from quantmis.models import placement
from quantmis.models.rows import forward
from quantmis.models.task import inputs


@pytest.fixture(scope="module")
def samples(base: Path) -> qm.Samples:
    return qm.Task.causal_lm(base).samples(qm.Texts.of(sentences(24)), reference=False)


def test_a_device_that_is_not_there_is_refused_and_those_that_are_there_named(
    base: Path, samples: qm.Samples, monkeypatch: pytest.MonkeyPatch
):
    task = qm.Task.causal_lm(base)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert task.place == torch.device("cpu")
    with pytest.raises(UserError, match="there is no cuda here") as refused:
        qm.audit(task, samples, device="cuda")
    assert "this machine has cpu" in str(refused.value.hint)
    with pytest.raises(UserError, match="unknown 'gpu'"):
        task.on("gpu")
    with pytest.raises(UserError, match="unknown 'int4'"):
        task.on(dtype="int4")
    with pytest.raises(UserError, match="dtype is for language models"):
        audit_request(qm.Task(lambda: torch.nn.Linear(2, 2)), samples, None, AuditOptions(dtype="bfloat16"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert placement.devices() == ["mps", "cpu"]
    assert task.place == torch.device("mps")


def test_what_stays_behind_on_the_processor_is_found(base: Path):
    model: Any = qm.Task.causal_lm(base).build(0).eval()
    with OtherDevice():
        model.to(DEVICE)
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.cpu())
        with pytest.raises(RuntimeError, match="found two"):
            forward(model, torch.tensor([[1, 2, 3]]))


def test_a_model_is_audited_in_the_number_format_that_is_asked_for(base: Path, samples: qm.Samples):
    target = {"members": range(16), "non_members": range(16, 32)}
    more = qm.Task.causal_lm(base).samples(qm.Texts.of(sentences(32)), reference=False)
    perplexity = dict[str | None, float]()
    for dtype in (None, "bfloat16"):
        request = audit_request(
            qm.Task.causal_lm(base),
            more,
            qm.Target(base, **target, confounded="report"),
            AuditOptions(dtype=dtype, depth="as-is"),
        )
        module = request.open_model.module
        kinds = {value.dtype for value in module.parameters()}
        assert kinds == {torch.float32 if dtype is None else torch.bfloat16}
        perplexity[dtype] = float(forward(module, inputs(more))[:, 0].mean())
    assert perplexity[None] != perplexity["bfloat16"]
    assert perplexity[None] == pytest.approx(perplexity["bfloat16"], rel=0.02)
    trained = qm.Task.causal_lm(base, recipe=qm.Recipe(lora_rank=2)).on(dtype="bfloat16").trainable_module(0)
    assert {value.dtype for value in trained.parameters() if not value.requires_grad} == {torch.bfloat16}
