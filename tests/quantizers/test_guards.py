"""What was given and what was done: each guard is tested by what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, MatchedNoise, Quantizer, Sign, StochasticRounding, Uniform
from quantmis.quantizers.base import Change
from quantmis.quantizers.storage import load, save
from quantmis.registry import spelling
from quantmis.shorthand import SHORTHAND
from quantmis.tables.names import same_name


class Faulty(Quantizer):
    """Sign, with `fault` done to the change it makes."""

    name = "faulty"

    def __init__(self, fault):
        self.fault = fault

    def apply(self, models, calibration, generators):
        return [self.fault(change) for change in Sign().apply(models, calibration, generators)]


@pytest.fixture(autouse=True)
def _spelled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantmis.quantizers.base.spelling", lambda quantizer: quantizer.name)


def swapped(change: Change, **parts: object) -> Change:
    return Change(change.model, tuple(replace(layer, **parts) for layer in change.layers))


def shifted(change: Change, name: str) -> Change:
    with torch.no_grad():
        change.model.get_parameter(name).add_(0.1)
    return change


FAULTS = {
    "left every layer as it was": lambda change: Change(change.model, ()),
    "2 codes .* where 1 levels": lambda change: swapped(change, levels=1),
    "codes of torch.float32": lambda change: swapped(change, codes=change.layers[0].codes.float()),
    "NaN or infinite": lambda change: swapped(change, scale=torch.full((1, 1), torch.nan)),
    "does not compute with": lambda change: shifted(change, "0.weight"),
    "changed 0.bias": lambda change: shifted(change, "0.bias"),
    r"has shape \[2, 2\]": lambda change: swapped(change, codes=torch.ones(2, 2, dtype=torch.int8)),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("message", FAULTS)
def test_a_method_that_did_something_else_is_refused(message: str):
    with pytest.raises(UserError, match=message):
        Faulty(FAULTS[message]).quantize(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)))


def test_a_weight_that_is_computed_is_refused_and_not_passed_as_quantized():
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    with pytest.raises(UserError, match="weights of the model are computed from others"):
        Sign().quantize(model)


@pytest.mark.parametrize("each", [StochasticRounding(bits=4), MatchedNoise(of=Sign())], ids=str)
def test_randomness_must_be_given(each: Quantizer):
    with pytest.raises(UserError, match="was given no generator"):
        each.quantize(nn.Linear(3, 3))


def test_models_of_two_architectures_are_not_quantized_together():
    with pytest.raises(UserError, match="one architecture"):
        Sign().quantize_many([nn.Linear(3, 3), nn.Linear(3, 4)])


def test_every_model_needs_a_generator_of_its_own():
    with pytest.raises(UserError, match="generators for each of 2 models"):
        StochasticRounding(bits=4).quantize_many([nn.Linear(3, 3)] * 2, generators=[torch.Generator()])


RECORDS = [
    "sign",
    "normal_float(bits=3)",
    "k_means(bits=2)",
    'uniform(bits=4, per="channel", group_size=7, symmetric=False)',
]


@pytest.mark.parametrize("spelled", RECORDS)
def test_a_record_is_read_as_it_was_written(tmp_path: Path, spelled: str):
    quantized = QUANTIZERS.parse(spelled).quantize(nn.Sequential(nn.Linear(100, 4), nn.Conv2d(2, 3, 3)))
    save(quantized.layers, tmp_path / "record.safetensors")
    for layer, back in zip(quantized.layers, load(tmp_path / "record.safetensors"), strict=True):
        assert layer.digest() == back.digest()
        assert torch.equal(layer.dequantize(), back.dequantize())
        assert (layer.bits, layer.name) == (back.bits, back.name)


def test_a_damaged_record_is_refused(tmp_path: Path):
    path = tmp_path / "record.safetensors"
    save(Sign().quantize(nn.Linear(100, 40)).layers, path)
    whole = path.read_bytes()
    for damaged in (whole[:-7], whole[: len(whole) // 2], b"", whole[:9], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            load(path)


def test_a_pickle_is_refused_by_name(tmp_path: Path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="pickle"):
        load(tmp_path / "model.pt")
    with pytest.raises(UserError, match="there is no file"):
        load(tmp_path / "none.safetensors")


def test_another_format_is_refused(tmp_path: Path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="no record of quantized layers"):
        load(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("part", ["codes", "scale", "zero_point", "name"])
def test_the_digest_sees_every_part(part: str):
    layer = Uniform(bits=4, per="channel", symmetric=False).quantize(nn.Linear(6, 3)).layers[0]
    value = getattr(layer, part)
    other = replace(layer, **{part: "other" if part == "name" else value + 1})
    assert layer.digest() != other.digest()


def test_entropy_counts_what_occurs():
    layer = Sign().quantize(nn.Linear(64, 64)).layers[0]
    lopsided = replace(layer, codes=torch.ones_like(layer.codes))
    assert layer.entropy_bits == pytest.approx(layer.nominal_bits, rel=0.01)
    assert (lopsided.entropy_bits, lopsided.levels_used) == (0, 1)


def test_a_library_that_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantmis.quantizers.base.find_spec", lambda name: None)
    adapters = [QUANTIZERS.find(name) for name in QUANTIZERS.names() if QUANTIZERS.find(name).extra is not None]
    assert adapters
    for kind in adapters:
        adapter = QUANTIZERS.parse(f"{kind.name}(bits=4)" if kind.name == "torchao.intx" else kind.name)
        with pytest.raises(UserError, match=f"needs {kind.library}") as refused:
            adapter.quantize(nn.Linear(4, 4), calibration=torch.eye(4))
        assert refused.value.hint == f"pip install 'quantmis[{kind.extra}]'"


@pytest.mark.parametrize("name", [*SHORTHAND])
def test_a_shorthand_is_the_quantizer_that_it_stands_for_in_any_case(name: str):
    assert spelling(QUANTIZERS.parse(name.upper())) == spelling(QUANTIZERS.parse(SHORTHAND[name]))
    assert same_name(name, SHORTHAND[name])


def test_a_name_of_several_types_says_what_to_ask_for():
    with pytest.raises(UserError, match="unknown quantizer 'Q4_K_M'") as refused:
        QUANTIZERS.parse("Q4_K_M")
    assert 'gguf(format="Q4_K") is that of most of them' in str(refused.value.hint)
