"""Files of weights in every format that is read, harmed anywhere: refused in words, or read as finite numbers."""

import io
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import checkpoints as made
import library_arrays as make
import pytest
import torch
from damage import harmed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from quantmis.errors import UserError
from quantmis.inspection.inspecting import inspect
from quantmis.models.weights import read_weights
from quantmis.quantizers import Sign
from quantmis.quantizers.formats import format_of, read, rounds_inputs
from quantmis.quantizers.storage import read_safetensors
from quantmis.quantizers.storage import save as save_record
from quantmis.tensor_files import digest_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("unchecked")]
SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def archive() -> bytes:
    stream = io.BytesIO()
    torch.save(make.small().state_dict(), stream)
    return stream.getvalue()


def graph() -> bytes:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("DequantizeLinear", ["w", "s"], ["y"], axis=1)
    named = {"w": make.normal(0, 4, 6).astype("i1"), "s": abs(make.normal(1, 6))}
    start = [onnx.numpy_helper.from_array(value, name) for name, value in named.items()]
    out = onnx.helper.make_tensor_value_info("y", 1, None)
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [out], start)).SerializeToString()


def record() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save_record(Sign().quantize(make.small()), Path(folder) / "sign.safetensors")
        return (Path(folder) / "sign.safetensors").read_bytes()


TOOLS = make.HERE / "tools"
FILES: dict[str, Callable[[], bytes]] = {
    "gguf": (make.HERE / "small.gguf").read_bytes,
    "bitsandbytes": lambda: save(made.bitsandbytes()[0]),
    "gptq": lambda: save(made.gptq(made.draws())),
    "awq": lambda: save(made.awq(made.draws())),
    "compressed-tensors": lambda: save(made.compressed(made.draws(), packed_zeros=True)),
    "fp8": lambda: save(made.fp8("channel")[0]),
    "nvfp4": lambda: save(made.nvfp4()[0]),
    "quantmis": record,
    "plain": lambda: save(make.small().state_dict()),
    "archive": archive,
    "onnx": graph,
    "litert": (TOOLS / "litert-blocks-4" / "model.tflite").read_bytes,
}

WRITTEN = (
    *("awq-gemv", "awq-gemv_fast", "bitnet-bitlinear", "compressed-tensors-mxfp6a16", "compressed-tensors-nvfp4"),
    *("compressed-tensors-sparse-2of4", "compressed-tensors-w3a16", "fp8-blocks-ue8m0", "gpt-oss", "hqq-3-rows-64"),
    *("hqq-4-columns-16", "mlx-affine-5", "mlx-nvfp4-4", "modelopt-fp8", "modelopt-nvfp4-packed", "quanto-qint4"),
    "torchao-float8-rows",
)
"""Files of the tools themselves, one for each way to keep codes."""


def beside(folder: Path, kind: str) -> None:
    """Copy the configurations of a tool's file."""
    for file in (TOOLS / kind).glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())


def sound_or_refused(path: Path) -> None:
    """Ask everything of a file: each answer is finite numbers, or a refusal in words."""
    for ask in (read, read_weights, format_of, digest_of, rounds_inputs):
        try:
            ask(path)
        except UserError as error:
            assert str(error)  # noqa: PT017
    assert inspect(path).why


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITTEN)
@SOME
@given(data=st.data())
def test_a_harmed_file_of_a_tool_is_read_or_refused(tmp_path: Path, kind: str, data):
    beside(tmp_path, kind)
    path, whole = tmp_path / "model.safetensors", (TOOLS / kind / "model.safetensors").read_bytes()
    for content in (data.draw(harmed(whole)), flipped(whole, data.draw(st.integers(0, 8 * len(whole) - 1)))):
        path.write_bytes(content)
        sound_or_refused(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITTEN)
@settings(SOME, max_examples=15)
@given(data=st.data())
def test_swapped_and_missing_tensors_of_a_tool_are_read_or_refused(tmp_path: Path, kind: str, data):
    beside(tmp_path, kind)
    path, tensors = tmp_path / "model.safetensors", read_safetensors(TOOLS / kind / "model.safetensors")[1]
    first, second = (data.draw(st.sampled_from(sorted(tensors))) for _ in range(2))
    swapped = tensors | {first: tensors[second], second: tensors[first]}
    flat = tensors | {first: tensors[first].flatten()}
    for changed in (swapped, flat, {name: value for name, value in tensors.items() if name != first}):
        path.write_bytes(save({name: value.clone() for name, value in changed.items()}))
        sound_or_refused(path)


NUMBERS = st.integers(-(2**40), 2**40) | st.sampled_from([0, 1, 2, 3, 2**31, 2**62]) | st.floats() | st.text(max_size=3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if (TOOLS / kind / "config.json").exists()])
@settings(SOME, max_examples=30)
@given(data=st.data())
def test_a_harmed_configuration_of_a_tool_is_read_or_refused_within_the_memory_of_the_file(tmp_path: Path, kind, data):
    beside(tmp_path, kind)
    path = tmp_path / "model.safetensors"
    path.write_bytes((TOOLS / kind / "model.safetensors").read_bytes())
    words = json.loads((tmp_path / "config.json").read_text())
    tables = [each for each in every_table(words) if each]
    table = data.draw(st.sampled_from(tables))
    table[data.draw(st.sampled_from(sorted(table)))] = data.draw(NUMBERS | st.lists(NUMBERS, max_size=2))
    (tmp_path / "config.json").write_text(json.dumps(words))
    tracemalloc.start()
    sound_or_refused(path)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 64 * 2**20


def every_table(words) -> list[dict]:
    """Return a table of words and the tables in it."""
    own = [words] if isinstance(words, dict) else []
    inside = words.values() if isinstance(words, dict) else words if isinstance(words, list) else []
    return own + [table for each in inside for table in every_table(each)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
@SOME
@given(data=st.data())
def test_a_harmed_file_of_weights_is_read_or_refused(tmp_path: Path, kind: str, data):
    path, whole = tmp_path / "model", FILES[kind]()
    for content in (data.draw(harmed(whole)), flipped(whole, data.draw(st.integers(0, 8 * len(whole) - 1)))):
        path.write_bytes(content)
        for ask in (read, read_weights, format_of, digest_of):
            try:
                ask(path)
            except UserError as error:
                assert str(error)  # noqa: PT017


def flipped(content: bytes, bit: int) -> bytes:
    """Return a file with one bit turned over."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_unharmed_files_are_read(tmp_path: Path):
    for kind, content in FILES.items():
        (tmp_path / kind).write_bytes(content())
        if kind in ("plain", "archive"):
            assert read_weights(tmp_path / kind).keys() == make.small().state_dict().keys()
        else:
            called = "compressed-tensors" if kind in ("fp8", "nvfp4") else kind
            assert read(tmp_path / kind).format == called == format_of(tmp_path / kind)
