"""Files of weights in every format that is read, harmed anywhere: refused in words, or read as finite numbers."""

import io
import tempfile
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
from quantmis.models.weights import read_weights
from quantmis.quantizers import Sign
from quantmis.quantizers.formats import format_of, read
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
}


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
