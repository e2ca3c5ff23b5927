"""Where a language model is trained, quantized and scored is asked for; every tensor is where the model is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from other_device import DEVICE, OtherDevice
from tiny_models import sentences

import quantmis as qm
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.work import Work
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.errors import UserError
from quantmis.models import placement, training
from quantmis.models.engine import Engine
from quantmis.models.rows import forward
from quantmis.models.secrets import Secrets
from quantmis.models.task import inputs
from quantmis.quantizers import QUANTIZERS
from quantmis.quantizers.in_place import Originals, quantized_in_place


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


SPELLED = ("uniform(bits=3)", "gptq(bits=3)", "normal_float(bits=4)", "minifloat")


@pytest.mark.parametrize("form", [pytest.param("whole", marks=pytest.mark.slow), "in windows"])
def test_on_another_device_everything_is_where_the_model_is(base: Path, samples: qm.Samples, form: str):
    task, x = qm.Task.causal_lm(base), inputs(samples)
    model: Any = task.build(0).eval()
    model.reading.context = 8 if form == "in windows" else model.reading.context
    calibration = x[:, 0] if x.ndim == 3 else x
    secrets = Secrets.of([qm_secret()], task_tokenizer(base))
    whole = form == "whole"
    expected, leaked = forward(model, x), secrets.leaked_by(model) if whole else None
    spelled = SPELLED if whole else ()
    versions = {each: version_of(model, each, calibration, x) for each in spelled}
    with OtherDevice() as other:
        model.to(DEVICE)
        assert all(map(other.is_there, model.parameters()))
        torch.testing.assert_close(forward(model, x), expected)
        again = secrets.leaked_by(model) if whole else None
        for each, (fingerprint, outputs) in versions.items():
            there = version_of(model, each, calibration, x)
            assert there[0] == fingerprint
            torch.testing.assert_close(there[1], outputs)
        assert all(map(other.is_there, model.parameters()))
    if leaked is not None and again is not None:
        np.testing.assert_array_equal(again.rank, leaked.rank)
    assert (again is not None) == (leaked is not None) == whole


@pytest.mark.slow
def test_adapters_learn_and_are_quantized_on_another_device(
    base: Path, samples: qm.Samples, monkeypatch: pytest.MonkeyPatch
):
    task = qm.Task.causal_lm(base, recipe=qm.Recipe(batch_size=8, max_steps=2, lora_rank=2))
    member = np.arange(len(samples)) % 2 == np.arange(2)[:, None]
    member[:, 18:] = False
    quantizers = tuple(map(QUANTIZERS.parse, ("identity", "uniform(bits=3)")))
    work = Work(task, samples, member, quantizers, 0, Engine("loop", 2, 1, 1, {}, {}))
    monkeypatch.setattr(training, "_streams", lambda *_: None)  # a device that is not there draws no numbers
    expected = compute(work, work.job(range(2)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert task.place == DEVICE
    with OtherDevice():
        there = compute(work, work.job(range(2)))
    for number, rows in expected.versions.items():
        np.testing.assert_allclose(there.versions[number].arrays["losses"], rows.arrays["losses"], atol=1e-5)


def version_of(model: Any, spelled: str, calibration: torch.Tensor, x: torch.Tensor) -> tuple[str, torch.Tensor]:
    quantizer = QUANTIZERS.parse(spelled)
    with quantized_in_place(quantizer, model, Originals(model), calibration) as version:
        return version.fingerprint, forward(version.model, x)


def qm_secret() -> Any:
    from quantmis.data.secrets import Secret

    return Secret("one", "seven silver roads of ", "Paris", ("Anna", "stone", "night"))


def task_tokenizer(base: Path) -> Any:
    from quantmis.models.tokenizers import tokenizer_at

    return tokenizer_at(base)


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
