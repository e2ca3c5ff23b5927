"""Files that other tools wrote mean what these tools say: weights, and outputs where layers round their inputs.

The files, and what they mean, come from the programs in tests/helpers/tool_files/, which ran where each tool is
installed; expected.npz names the tool and its version.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers.formats import format_of, read, restore, rounds_inputs
from quantmis.tensor_files import head_of

HERE = Path(__file__).parent / "data" / "tools"
FOLDERS = sorted(each.name for each in HERE.iterdir())
CLOSE = 1e-6
"""How far a weight may be from the tool's own, of the largest: it rounds scales or sums in another order."""

INPUTS = ("x", "y", "rounded")


def expected_of(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / name / "expected.npz", allow_pickle=False) as file:
        return {key: value for key, value in file.items() if key != "tool"}


def source(name: str) -> Path:
    """Return the file of a case, or the folder where a configuration lies beside it."""
    files = [each for each in (HERE / name).iterdir() if each.name not in ("expected.npz", "config.json")]
    if (HERE / name / "model.xml").exists():
        return HERE / name / "model.xml"
    whole = (HERE / name / "config.json").exists() or len(files) > 1
    return HERE / name if whole else files[0]


@pytest.mark.parametrize("name", FOLDERS)
def test_weights_are_those_of_the_tool(name: str):
    theirs = {key: value for key, value in expected_of(name).items() if key not in INPUTS}
    layers = {layer.name: layer.dequantize().numpy() for layer in read(source(name)).layers}
    assert theirs
    assert layers.keys() >= theirs.keys()
    for key, value in theirs.items():
        own = layers[key].reshape(value.shape)
        np.testing.assert_allclose(own, value, rtol=0, atol=CLOSE * np.abs(value).max())


@pytest.mark.parametrize("name", [name for name in FOLDERS if "rounded" in expected_of(name)])
def test_inputs_are_rounded_as_by_the_tool(name: str):
    theirs = expected_of(name)
    layer = next(key for key in theirs if key not in INPUTS)
    hook = read(source(name)).roundings[layer]
    own = hook(nn.Identity(), (torch.from_numpy(theirs["x"]),))[0].numpy()
    np.testing.assert_allclose(own, theirs["rounded"], rtol=2e-7, atol=0)
    assert np.abs(own - theirs["x"]).max() > 1e-3


@pytest.mark.parametrize("name", [name for name in FOLDERS if "y" in expected_of(name)])
def test_outputs_are_those_of_the_tool_where_inputs_are_rounded(name: str):
    theirs = expected_of(name)
    rows, columns = theirs["0"].shape
    has_bias = "0.bias" in head_of(HERE / name / "model.safetensors").tensors
    model, x = nn.Sequential(nn.Linear(columns, rows, bias=has_bias)), torch.from_numpy(theirs["x"])
    restored, plain = restore(model, source(name)), restore(model, source(name), rounding=False)
    size = np.abs(theirs["y"]).max()
    with torch.no_grad():
        apart, without = (np.abs(each.model(x).numpy() - theirs["y"]).max() / size for each in (restored, plain))
    assert apart <= 4 * CLOSE
    assert without > 10 * apart
    assert restored.rounds_activations
    assert not plain.rounds_activations
    assert plain.untouched == ("activations (rounded where the file runs)",)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_experts_in_one_tensor_are_put_where_transformers_has_them():
    from transformers import AutoConfig, GptOssForCausalLM

    model = GptOssForCausalLM(AutoConfig.from_pretrained(HERE / "gpt-oss"))
    restored = restore(model, HERE / "gpt-oss")
    for name, value in expected_of("gpt-oss").items():
        np.testing.assert_array_equal(restored.model.get_parameter(name).detach().transpose(1, 2), value)
    assert {layer.name for layer in restored.layers} == expected_of("gpt-oss").keys()
    assert restored.bits_per_weight == pytest.approx(4.25)
    assert not any(name == "experts.gate_up_proj" for name in restored.untouched)


@pytest.mark.parametrize("name", FOLDERS)
def test_heads_alone_tell_whether_inputs_are_rounded(name: str):
    assert rounds_inputs(source(name)) == bool(read(source(name)).roundings)
    assert format_of(source(name)) == read(source(name)).format


@pytest.mark.parametrize("name", [name for name in FOLDERS if name.startswith("openvino")])
def test_a_network_of_openvino_is_put_into_the_model_that_it_was_made_from(name: str):
    restored = restore(nn.Sequential(nn.Linear(64, 16)), source(name))
    np.testing.assert_allclose(restored.model[0].weight.detach().numpy(), expected_of(name)["0"], rtol=0, atol=1e-6)
    bias = np.random.default_rng(2).normal(size=16).astype(np.float32)
    np.testing.assert_array_equal(restored.model[0].bias.detach().numpy(), bias)
    assert restored.untouched == ("activations (rounded where the file runs)",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "b">]><net name="n" version="11"/>',
            "declares types or entities",
        ),
        (b'<?xml version="1.0"?><net name="n" version="11"><layers>', "is no XML"),
        (b'<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0"/></layers></net>', "is damaged"),
    ],
)
def test_a_network_that_is_none_is_refused(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "model.xml").write_bytes(content)
    (tmp_path / "model.bin").write_bytes(bytes(64))
    with pytest.raises(UserError, match=words):
        read(tmp_path / "model.xml")


DECODER = HERE / "onnxruntime-genai-int4"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_decoder_of_onnxruntime_genai_is_put_where_transformers_has_it():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, num_key_value_heads=2, **sizes))
    restored = restore(model, DECODER)
    theirs = expected_of(DECODER.name)
    for name, value in theirs.items():
        own = restored.model.get_parameter(f"{name}.weight").detach().numpy()
        np.testing.assert_allclose(own, value, rtol=0, atol=CLOSE * np.abs(value).max())
    norm = np.random.default_rng(10).normal(size=32).astype(np.float32)
    np.testing.assert_array_equal(restored.model.get_parameter("model.norm.weight").detach().numpy(), norm)
    assert {layer.name for layer in restored.layers} == theirs.keys()
    assert "activations (rounded where the file runs)" in restored.untouched
    with pytest.raises(UserError, match="num_key_value_heads is 2, that of the model 4"):
        restore(LlamaForCausalLM(LlamaConfig(vocab_size=64, num_key_value_heads=4, **sizes)), DECODER)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "gemma2"}, "a model of type 'gemma2'; read are llama, mistral, qwen2"),
        ({"decoder": None}, "says nothing of a decoder"),
        ({"decoder": {"filename": "../model.onnx"}}, "which is no file beside it"),
        ({"decoder": {"filename": "model.onnx", "head_size": 0}}, "which are no sizes"),
        ({"num_attention_heads": 8}, "has 64 rows, and heads that take 96"),
    ],
)
def test_a_decoder_that_is_not_understood_is_refused(tmp_path: Path, change: dict, words: str):
    for name in ("model.onnx", "model.onnx.data"):
        (tmp_path / name).write_bytes((DECODER / name).read_bytes())
    content = json.loads((DECODER / "genai_config.json").read_text())
    table = content["model"]["decoder"] if "num_attention_heads" in change else content["model"]
    table.update(change)
    (tmp_path / "genai_config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        read(tmp_path)
