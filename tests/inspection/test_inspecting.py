"""What `quantmis inspect` says of a file is what reading it shows, and files of unknown kinds are answered."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from quantmis.errors import UserError
from quantmis.inspection.gguf import BLOCKS, KINDS
from quantmis.inspection.inspecting import inspect
from quantmis.quantizers import Sign, save
from quantmis.quantizers.formats import format_of, read
from quantmis.quantizers.formats.ggml import LAYOUTS
from quantmis.tensor_files import digest_of

TOOLS = Path(__file__).parents[1] / "quantizers" / "data" / "tools"
SMALL = TOOLS.parent / "small.gguf"
NAMED = ("model.xml", "model.tflite")
"""Files of folders in which the file is what one names."""

FOLDERS = [
    next((folder / name for name in NAMED if (folder / name).exists()), folder) for folder in sorted(TOOLS.iterdir())
]
CASES = [*FOLDERS, SMALL, TOOLS.parent / "small.bitsandbytes.safetensors"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_inspection_says_what_reading_shows(path: Path):
    found, own = inspect(path), read(path)
    assert found.format == own.format
    assert found.digest == digest_of(path)
    assert found.is_read
    assert found.is_exact == (not own.notes or own.format == "litert"), found.why  # which its runtime computes
    layers = {layer.name: layer for layer in own.layers}
    assert {layer.name for layer in found.layers} == layers.keys()
    for layer in found.layers:
        codes = layers[layer.name].codes.numel()
        assert layer.weights in (None, codes) or "sparse" in path.name or layer.name == "2"  # rows that fill up a byte
        if layer.bits is not None and own.format != "gguf":
            levels = {1.58: 3, 2.0: 3} if own.format in ("hqq", "bitnet") and layers[layer.name].levels == 3 else {}
            assert levels.get(round(layer.bits, 2), 2**layer.bits) == layers[layer.name].levels
    assert {each.name for each in found.unquantized} <= set(own.others or {})


def test_blocks_of_gguf_are_those_that_are_read():
    assert {name: (each.weights, each.size) for name, each in LAYOUTS.items()} == {
        name: (weights, size) for name, (weights, size, _) in BLOCKS.items()
    }
    assert set(KINDS.values()) == BLOCKS.keys()


def test_a_record_of_ours_and_plain_weights_are_told(tmp_path: Path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 2))
    save(Sign().quantize(model), tmp_path / "sign.safetensors")
    found = inspect(tmp_path / "sign.safetensors")
    assert (found.format, found.is_exact, [layer.name for layer in found.layers]) == ("quantmis", True, ["0"])
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    found = inspect(tmp_path / "plain.safetensors")
    assert found.format is None
    assert "full precision" in found.looks_like
    assert {each.name for each in found.unquantized} == {"0.weight", "0.bias"}


UNKNOWN = {
    "model.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(20), "LiteRT", ""),
    "model.html": (b"<!DOCTYPE html><title>Sign in</title>", "a web page", ""),
    "model.bin": (b"\x00\x01\x02 no kind that is known", "bytes that begin", ""),
    "model.pt": (b"\x80\x02}q\x00." + bytes(20), "a pickle", "safetensors"),
    "model.npy": (b"\x93NUMPY" + bytes(20), "a NumPy array", "safetensors"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_file_of_an_unknown_kind_is_answered_with_what_it_looks_like(tmp_path: Path, name: str):
    content, words, nearest = UNKNOWN[name]
    (tmp_path / name).write_bytes(content)
    found = inspect(tmp_path / name)
    assert words in found.looks_like
    assert (found.is_read, found.is_exact, found.nearest) == (False, False, nearest)
    assert found.why
    assert found.digest == digest_of(tmp_path / name)


def test_a_package_of_coreml_is_called_so(tmp_path: Path):
    (tmp_path / "Data" / "com.apple.CoreML").mkdir(parents=True)
    (tmp_path / "Manifest.json").write_text("{}")
    found = inspect(tmp_path)
    assert (found.is_read, found.looks_like) == (False, "a package of CoreML (.mlpackage)")
    with pytest.raises(UserError, match="looks like a package of CoreML"):
        format_of(tmp_path)


def test_a_format_that_is_not_read_and_a_word_that_is_not_understood_are_told(tmp_path: Path):
    save_file({"0.trellis": torch.zeros(2, 2), "0.suh": torch.zeros(2)}, tmp_path / "exl3.safetensors")
    found = inspect(tmp_path / "exl3.safetensors")
    assert not found.is_read
    assert "EXL3" in found.why
    words = json.loads((TOOLS / "awq-gemm" / "config.json").read_text())
    words["quantization_config"]["rotation"] = "hadamard"
    (tmp_path / "config.json").write_text(json.dumps(words))
    (tmp_path / "model.safetensors").write_bytes((TOOLS / "awq-gemm" / "model.safetensors").read_bytes())
    found = inspect(tmp_path / "model.safetensors")
    assert (found.format, found.is_read, found.is_exact) == ("awq", False, False)
    assert "rotation = 'hadamard' is not understood" in found.why


def test_folders_without_weights_and_missing_files_are_told(tmp_path: Path):
    assert "a folder of nothing" in inspect(tmp_path).looks_like
    (tmp_path / "model.gguf").write_bytes(SMALL.read_bytes())
    assert inspect(tmp_path).looks_like == "a folder of model.gguf: name the file that is meant"
    with pytest.raises(UserError, match="there is no file"):
        inspect(tmp_path / "missing")


def test_small_integers_of_a_graph_are_its_layers(tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("DequantizeLinear", ["w", "s"], ["y"], axis=0)
    start = [
        onnx.numpy_helper.from_array(np.ones((4, 6), "i1"), "w"),
        onnx.numpy_helper.from_array(np.ones(4, "f4"), "s"),
    ]
    last = onnx.helper.make_node("MatMul", ["x", "y"], ["z"])
    given = [onnx.helper.make_tensor_value_info("x", 1, [None, 4])]
    out = [onnx.helper.make_tensor_value_info("z", 1, None)]
    graph = onnx.helper.make_graph([node, last], "g", given, out, start)
    (tmp_path / "model.onnx").write_bytes(onnx.helper.make_model(graph, producer_name="ours").SerializeToString())
    found = inspect(tmp_path / "model.onnx")
    assert [(layer.name, layer.weights, layer.bits, layer.scales) for layer in found.layers] == [("w", 24, 8, "s")]
    assert (found.tool, found.format, found.is_exact) == ("ours", "onnx", True)
    given.append(onnx.helper.make_tensor_value_info("cache", 1, [1]))
    graph = onnx.helper.make_graph([node, last], "g", given, out, start)
    (tmp_path / "two.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert not inspect(tmp_path / "two.onnx").is_exact


def test_the_command_starts_without_torch_and_prints_json():
    program = "import sys\nfrom quantmis.cli.inspect import inspect\nfrom pathlib import Path\n"
    program += "inspect(Path(sys.argv[1]), json=True, every=False)\nassert 'torch' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", program, str(TOOLS / "awq-gemm")], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["format"] == "awq"


def test_the_command_prints_tables(capsys: pytest.CaptureFixture[str]):
    from quantmis.cli.inspect import inspect as command

    command(TOOLS / "modelopt-fp8", json=False, every=False)
    printed = capsys.readouterr().out
    for words in ("safetensors of modelopt", "modelopt 0.47.0", "exact: yes", "SHA-256", "not quantized: 5 tensors"):
        assert words in printed
