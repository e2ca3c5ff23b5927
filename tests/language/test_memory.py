"""The memory that an audit of a language model needs is told before it starts, and what does not fit is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensor_memory import Held
from tiny_models import save_base, sentences, transformers

import quantmis as qm
from quantmis.audit import memory
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.work import Work
from quantmis.audit.memory import MemoryNeed, available, need_of, require_room
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import AuditRequest, audit_request
from quantmis.audit.target.versions import tables_of
from quantmis.errors import UserError
from quantmis.models.engine import Engine
from quantmis.models.task import inputs
from quantmis.quantizers import QUANTIZERS

TEXTS = 40


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose weights and vocabulary outweigh what Python and torch need themselves."""
    folder = save_base(tmp_path_factory.mktemp("memory") / "wide")
    config: Any = transformers.AutoConfig.from_pretrained(folder)
    config.vocab_size, config.hidden_size, config.intermediate_size = 4000, 160, 448
    config.num_hidden_layers = 3
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def request_of(folder: Path, quantizers: list[str], **recipe: Any) -> AuditRequest:
    """Return an audit of the model as it is or, where there is a recipe, of two trainings."""
    made = qm.Recipe(batch_size=8, max_steps=2, **recipe) if recipe else None
    task = qm.Task.causal_lm(folder, recipe=made)
    samples = task.samples(qm.Texts.of([text.lower() for text in sentences(TEXTS)]), reference=False)
    half = np.arange(0, TEXTS, 2)
    target = None if recipe else qm.Target(folder, half, half + 1, confounded="report")
    depth = {"depth": "indicator", "replicates": 2, "engine": "loop"} if recipe else {"depth": "as-is"}
    return audit_request(task, samples, target, AuditOptions.of(**depth), None, "", quantizers)


def peak(request: AuditRequest) -> int:
    """Return the most bytes of tensors that there were while the versions of an audit were made and scored."""
    torch.manual_seed(0)
    if request.target is not None:
        with Held() as held:
            tables_of(request, np.zeros((0, TEXTS), dtype=bool))
        return held.peak
    member = np.arange(TEXTS) % 2 == np.arange(2)[:, None]
    member[:, 32:] = False
    engine = Engine("loop", 2, 1, torch.get_num_threads(), {}, {})
    work = Work(request.task, request.samples, member, request.settings.quantizers, 0, engine)
    with Held() as held:
        compute(work, work.job(range(2)))
    return held.peak


CASES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "as it is": ([], {}),
    "levels": (["uniform(bits=3)"], {}),
    "copies": (["bitsandbytes.linear4bit"], {}),
    "adapters": (["uniform(bits=3)"], {"lora_rank": 2}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "as it is" else [pytest.mark.slow]) for name in CASES]
)
def test_the_need_is_what_the_tensors_take_within_a_quarter(wide: Path, name: str):
    request = request_of(wide, *CASES[name][:1], **CASES[name][1])
    need = need_of(request)
    assert need is not None
    measured = peak(request)
    assert 0.75 * measured <= need.bytes <= 1.25 * measured, (need, measured / 2**20)


@pytest.mark.slow
def test_the_need_of_full_fine_tunings_is_too(wide: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "cores", lambda: 1)
    request = request_of(wide, ["uniform(bits=3)"], epochs=1)
    need, measured = need_of(request), peak(request)
    assert need is not None
    assert 0.75 * measured <= need.bytes <= 1.25 * measured, (need, measured / 2**20)


@pytest.mark.slow
def test_so_is_that_of_a_method_that_solves_for_its_codes(wide: Path):
    request, gptq = request_of(wide, ["gptq(bits=4)"]), QUANTIZERS.parse("gptq(bits=4)")
    need, module = need_of(request), request.open_model
    assert need is not None
    with Held() as held, module.quantized(gptq, inputs(request.samples)[:10], torch.Generator()):
        pass
    assert 0.75 * held.peak <= need.bytes <= 1.25 * held.peak, (need, held.peak / 2**20)


def test_an_audit_that_does_not_fit_is_refused_before_anything_is_read(wide: Path, monkeypatch: pytest.MonkeyPatch):
    request = request_of(wide, ["bitsandbytes.linear4bit"])
    need = need_of(request)
    assert need is not None
    monkeypatch.setattr(memory, "available", lambda: need.bytes)
    require_room(request)
    monkeypatch.setattr(memory, "available", lambda: need.bytes - 1)
    monkeypatch.setattr(qm.Target, "given", lambda *_: pytest.fail("the model was read"))
    with pytest.raises(UserError, match=r"not fit into memory: it needs about \d+ MiB .* MiB are free") as refused:
        qm.audit(request.task, request.samples, target=request.target, quantizers=["bitsandbytes.linear4bit"])
    assert "without bitsandbytes.linear4bit, which works on a copy" in str(refused.value.hint)


def test_what_a_control_group_leaves_is_all_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 700\ninactive_file 300\n")  # which is given back when it is needed
    assert list(memory._limits(tmp_path)) == [2300]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(memory._limits(tmp_path)) == []
    monkeypatch.setattr(memory, "_limits", lambda: [7])
    assert available() == 7


def test_other_models_and_short_formats_are_told_apart(wide: Path):
    request = audit_request(
        qm.Task(lambda: torch.nn.Linear(2, 2)),
        qm.Samples(np.zeros((40, 2), np.float32), np.arange(40) % 2),
        None,
        AuditOptions.of(depth="indicator"),
    )
    assert need_of(request) is None
    assert "5 MiB weights" in str(MemoryNeed(5 * 2**20))
    whole = need_of(request_of(wide, []))
    task = qm.Task.causal_lm(wide)
    half = task.model.whole().to(torch.bfloat16)  # pyright: ignore
    half.save_pretrained(wide.parent / "half")
    transformers.AutoTokenizer.from_pretrained(wide).save_pretrained(wide.parent / "half")
    short = need_of(request_of(wide.parent / "half", []))
    assert whole is not None
    assert short is not None
    assert short.weights == pytest.approx(whole.weights / 2, rel=0.02)
