"""A language model is in memory once: logits a few tokens at a time, short formats widened, versions made in place."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.audit.target.open_model import OpenModel
from quantmis.models import head_in_parts
from quantmis.models.language import showing_logits
from quantmis.models.precision import computing
from quantmis.models.rows import forward
from quantmis.quantizers import GPTQ, Quantizer, Sign, Ternary, Uniform
from quantmis.quantizers.calibration import calls, hessian
from quantmis.quantizers.in_place import Originals, quantized_in_place
from quantmis.quantizers.layers import quantizable
from quantmis.quantizers.moments import steps

CONFIG = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
BENT = {"model_type": "gemma2", "head_dim": 8, "final_logit_softcapping": 5.0, "pad_token_id": 0}
"""A head that bends its logits."""


def made(**changes: object) -> nn.Module:
    return qm.Task.causal_lm(config=CONFIG | changes).build(0).eval()


def texts(count: int = 12, longest: int = 40) -> torch.Tensor:
    numbers = np.random.default_rng(0)
    lengths = numbers.integers(3, longest, count)
    table = np.full((count, longest), -1)
    for row, length in enumerate(lengths):
        table[row, :length] = numbers.integers(0, 300, length)
    return torch.from_numpy(table)


def losses_by_hand(model: nn.Module, text: torch.Tensor) -> float:
    """Return the mean of -log p by transformers' own logits, one text at a time."""
    tokens = text[text >= 0][None]
    with showing_logits(model), torch.no_grad():
        log_p = model(tokens).log_softmax(-1)[0, :-1]
    return -float(log_p.gather(1, tokens[0, 1:, None]).mean())


@pytest.mark.parametrize("changes", [{}, BENT, {"tie_word_embeddings": True}])
def test_logits_of_a_few_tokens_at_a_time_give_the_losses_of_all(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    model = made(**changes)
    monkeypatch.setattr("quantmis.models.language.LOGITS", 7 * 300)
    losses = forward(model, texts())[:, 0]
    assert model.reading.in_parts, "the model fell back to whole logits"
    expected = [losses_by_hand(model, text) for text in texts()]
    torch.testing.assert_close(losses, torch.tensor(expected), atol=1e-5, rtol=0)


def test_a_head_that_depends_on_where_a_token_stands_is_computed_whole(monkeypatch: pytest.MonkeyPatch):
    model = made()
    own = model.lm_head.forward

    def bent(states: torch.Tensor) -> torch.Tensor:  # by its place among those that are computed at once
        return (
            own(states) * torch.linspace(0.5, 1.5, states.shape[1])[:, None] if states.shape[1] > 1 else own(states) * 3
        )

    monkeypatch.setattr(model.lm_head, "forward", bent)
    [text] = texts(1)
    forward(model, text[None])
    assert model.reading.in_parts  # the last token alone is what the model itself returned
    monkeypatch.setattr(head_in_parts, "_parts", lambda *_: iter([torch.zeros(1, 300)]))
    losses = forward(model, text[None])[:, 0]
    assert not model.reading.in_parts
    assert float(losses) == pytest.approx(losses_by_hand(model, text), abs=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_in_a_short_format_are_computed_with_in_float32(kind: torch.dtype):
    short = made(**BENT).to(kind)
    wide = copy.deepcopy(short).float()
    torch.testing.assert_close(forward(short, texts()), forward(wide, texts()), atol=1e-4, rtol=1e-5)
    assert {each.dtype for each in short.parameters()} == {kind}


def test_what_a_forward_writes_into_a_short_tensor_stays_written():
    class Writing(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            halves = torch.empty(2, dtype=torch.bfloat16)
            halves[:1], halves[1:] = 1.0, 2.0
            halves += 1
            halves.mul_(2)
            return super().forward(x) * 0 + halves

    with computing(model := Writing(3, 2).bfloat16()):
        assert model(torch.ones(1, 3)).tolist() == [[4.0, 6.0]]


@pytest.mark.parametrize(
    "quantizer", [Uniform(bits=3, per="channel", group_size=16), Ternary(sparsity=0.5), Sign(), GPTQ(bits=3)]
)
def test_a_version_in_place_is_the_copy_that_quantize_makes_and_is_undone(quantizer: Quantizer):
    model, calibration = made(tie_word_embeddings=True), texts(6)
    before = copy.deepcopy(model.state_dict())
    expected = quantizer.quantize(model, calibration)
    with quantized_in_place(quantizer, model, Originals(model), calibration) as version:
        assert version.model is model
        assert version.fingerprint == expected.fingerprint
        assert version.bits_per_weight == expected.bits_per_weight
        assert version.sparsity == expected.sparsity
        assert version.untouched == expected.untouched
        torch.testing.assert_close(forward(model, texts()), forward(expected.model, texts()), atol=0, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_version_that_fails_is_undone_too():
    model = made()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ZeroDivisionError), quantized_in_place(Sign(), model, Originals(model)):
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_blocks_one_by_one_see_what_the_whole_model_shows():
    """Each layer is quantized between the steps, so that every one sees what the quantized ones before it produce."""
    model, inputs = made(), texts(6)
    twin = copy.deepcopy(model)
    order = calls(twin, list(quantizable(twin)), inputs)[0]
    seen: list[str] = []
    for step in steps(model, inputs):
        for name in step.names:
            expected = hessian(twin, name, inputs)
            if expected is None or step.hessian is None:
                assert expected is step.hessian
            else:
                torch.testing.assert_close(step.hessian, expected, atol=1e-6, rtol=1e-4)
            seen.append(name)
        for each in (model, twin):
            for name in step.names:
                weight = each.get_submodule(name).weight.data
                weight.copy_((weight * 8).round() / 8)
    assert seen == order


def test_the_filling_of_texts_is_no_calibration_data():
    model, few = made(), texts(6)
    wider = torch.nn.functional.pad(few, (0, 20), value=-1)
    name = "model.layers.1.mlp.down_proj"
    torch.testing.assert_close(hessian(model, name, few), hessian(model, name, wider))
    alone = [hessian(model, name, text[text >= 0][None]) * int((text >= 0).sum()) for text in few]
    together = torch.stack(alone).sum(0) / int((few >= 0).sum())
    torch.testing.assert_close(hessian(model, name, few), together, atol=1e-8, rtol=1e-4)


def test_a_target_in_a_short_format_stays_in_it_and_is_read_once(tmp_path: Path):
    task = qm.Task.causal_lm(config=CONFIG)
    short = task.build(0).to(torch.bfloat16)
    short.save_pretrained(tmp_path / "model")
    opened = OpenModel(qm.Target(tmp_path / "model", range(16), range(16, 32)), task)
    assert {each.dtype for each in opened.module.parameters()} == {torch.bfloat16}
    assert opened.given.model is opened.module
    with opened.perturbed(torch.Generator().manual_seed(0)) as noisy:
        assert not torch.equal(noisy.lm_head.weight, short.lm_head.weight)
    assert torch.equal(opened.module.lm_head.weight, short.lm_head.weight)


def test_the_head_is_calibrated_on_every_token_once():
    model, few = made(), texts(6)
    with showing_logits(model), torch.no_grad():
        states = [model.model(input_ids=text[text >= 0][None]).last_hidden_state[0].double() for text in few]
    rows = torch.cat(states)
    [moment] = hessian(model, "lm_head", few)
    torch.testing.assert_close(moment, rows.T @ rows / len(rows), atol=1e-8, rtol=1e-4)
    [step] = [each for each in steps(model, few) if "lm_head" in each.names]
    torch.testing.assert_close(step.hessian[0], moment)


class Twice(nn.Module):
    """Put the same layer to use twice, and work in place on what the block before returned."""

    def __init__(self):
        super().__init__()
        self.shared, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.shared(self.shared(x).relu()).relu())


class Row(nn.Module):
    def __init__(self, in_place: bool):
        super().__init__()
        self.blocks, self.in_place = nn.ModuleList(Twice() for _ in range(3)), in_place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
            if self.in_place:
                x.mul_(2.0).relu_()
        return x


@pytest.mark.parametrize("in_place", [False, True])
def test_layers_that_are_called_twice_and_blocks_with_work_in_place_between_them_see_all_they_read(in_place: bool):
    torch.manual_seed(0)
    model, inputs = Row(in_place), torch.randn(40, 8)
    twin, seen = copy.deepcopy(model), 0
    for step in steps(model, inputs):
        for name in step.names:
            torch.testing.assert_close(step.hessian, hessian(twin, name, inputs), atol=1e-8, rtol=1e-6)
            seen += 1
        for each in (model, twin):
            for name in step.names:
                each.get_submodule(name).weight.data.mul_(8).round_().div_(8)
    assert seen == 6
