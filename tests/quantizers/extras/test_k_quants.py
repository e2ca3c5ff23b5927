"""Claims about the formats of llama.cpp that its library ggml writes: with llama-cpp-python, and without it."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import gguf
import numpy as np
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import GGUF, QUANTIZERS, contract
from quantmis.quantizers.base import importable
from quantmis.quantizers.extras import ggml
from quantmis.quantizers.formats.ggml import BLOCKS, LAYOUTS
from quantmis.quantizers.formats.i_quants import I_QUANTS
from quantmis.quantizers.probe import require_computes

HINT = "pip install 'quantmis[llama-cpp]'"


@pytest.fixture
def llama_cpp() -> None:
    if not importable("llama_cpp"):
        pytest.skip(f"llama-cpp-python, which is built from source, is not installed: {HINT}")


def wide() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 3))


@pytest.mark.usefixtures("llama_cpp")
@pytest.mark.parametrize("kind", ggml.FORMATS)
def test_the_record_is_what_gguf_says_of_the_bytes_of_ggml(kind: str):
    model = wide()
    quantized = GGUF(format=kind).quantize(model)
    assert [layer.name for layer in quantized.layers] == ["0", "2"]
    assert quantized.untouched == ("4",)
    encoded = ggml.encoded("gguf", model[0].weight.detach().numpy(), kind)
    meant = gguf.quants.dequantize(encoded, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(quantized.layers[0].dequantize().numpy(), meant)
    apart = quantized.layers[0].dequantize() - model[0].weight.detach()
    assert apart.norm() < 0.4 * model[0].weight.norm() * 2 ** (2 - np.log2(LAYOUTS[kind].levels))
    require_computes("gguf", model, quantized, torch.randn(4, 256, generator=torch.Generator().manual_seed(1)))


@pytest.mark.usefixtures("llama_cpp")
def test_ggml_and_the_package_gguf_write_the_same_bytes():
    rows = wide()[0].weight.detach().numpy()
    for kind in ("Q4_0", "Q5_1", "Q8_0", "TQ2_0"):
        theirs = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[kind])
        assert np.array_equal(ggml.encoded("gguf", rows, kind), theirs), kind


@pytest.mark.usefixtures("llama_cpp")
def test_k_quants_are_the_same_in_every_process():
    program = (
        "import torch; from quantmis.quantizers import GGUF; from quantmis.quantizers.extras import ggml;"
        "torch.manual_seed(0); model = torch.nn.Linear(256, 512);"
        "print(*(GGUF(format=kind).quantize(model).fingerprint for kind in ggml.FORMATS))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = [GGUF(format=kind).quantize(wide()[0]).fingerprint for kind in ggml.FORMATS]
    assert done.stdout.split() == own
    assert len(set(own)) == len(ggml.FORMATS)


@pytest.mark.parametrize("kind", [*BLOCKS, *ggml.FORMATS])
def test_every_format_keeps_its_promises(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str):
    if kind in ggml.FORMATS:
        request.getfixturevalue("llama_cpp")
    monkeypatch.setattr(contract, "specimen", wide_specimen)
    for claim in contract.CLAIMS:
        claim(GGUF(format=kind))


def wide_specimen(seed: int = 0) -> nn.Module:
    """Return a model with rows of 256 weights that takes the inputs of the contract's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        convolution = nn.Sequential(nn.Unflatten(1, (64, 8)), nn.Conv1d(64, 4, 4), nn.Flatten())
        return nn.Sequential(nn.Embedding(7, 256), nn.Flatten(), convolution, nn.ReLU(), nn.Linear(20, 3))


@pytest.mark.usefixtures("llama_cpp")
def test_weights_that_no_half_precision_scale_reaches_are_refused():
    model = wide()
    model[0].weight.data.mul_(1e12)
    for kind in ggml.FORMATS:
        with pytest.raises(UserError, match="NaN or infinite"):
            GGUF(format=kind).quantize(model)


@pytest.mark.usefixtures("llama_cpp")
def test_a_library_whose_blocks_are_of_another_size_writes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ggml.TYPES, "Q4_K", ggml.TYPES["Q6_K"])
    with pytest.raises(UserError, match="a row of Q4_K takes 210 bytes in llama_cpp, here 144"):
        GGUF(format="Q4_K").quantize(wide())


def test_without_llama_cpp_python_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantmis.quantizers.base.find_spec", lambda name: None if name == "llama_cpp" else "there")
    with pytest.raises(UserError, match=r'gguf\(format="Q4_K"\) needs llama_cpp, which is not installed') as refused:
        QUANTIZERS.parse('gguf(format="Q4_K")').quantize(wide())
    assert refused.value.hint == HINT
    assert GGUF(format="Q4_0").quantize(wide()).untouched == ("4",)


def test_a_package_without_the_library_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "llama_cpp.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    ggml.library.cache_clear()
    with pytest.raises(UserError, match="llama_cpp has no ggml-base in"):
        GGUF(format="Q4_K").quantize(wide())


@pytest.mark.parametrize("kind", ["Q4_0", "TQ2_0", "Q4_K"])
def test_a_model_whose_rows_fit_no_block_is_refused_with_the_size_of_one(kind: str):
    with pytest.raises(UserError, match=f"none has rows of a multiple of {LAYOUTS[kind].weights} weights"):
        GGUF(format=kind).quantize(nn.Linear(20, 3))


def test_every_format_that_is_written_is_read():
    [format] = [field for field in fields(GGUF) if field.name == "format"]
    assert get_args(format.type) == (*BLOCKS, *ggml.FORMATS)
    assert {*BLOCKS, *ggml.FORMATS} == set(LAYOUTS) - {"MXFP4", *I_QUANTS}
