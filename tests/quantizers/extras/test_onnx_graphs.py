"""ONNX graphs that another tool made, and such that nobody should compute."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from quantmis.errors import UserError
from quantmis.quantizers.extras.onnx_file import onnx_file
from quantmis.quantizers.formats import format_of, read
from quantmis.tensor_files import digest_of

CODES = np.random.default_rng(0).integers(-8, 8, (16, 8)).astype(np.int8)
SCALE = np.random.default_rng(1).uniform(0.1, 1, 8).astype(np.float32)
X = np.random.default_rng(2).normal(size=(4, 16)).astype(np.float32)


def tensors() -> list[TensorProto]:
    """Return int8 weights [inputs, outputs], their scales, and a float beside them."""
    named = {"fc.weight_q": CODES, "fc.scale": SCALE, "bias": np.zeros(8, np.float32)}
    return [numpy_helper.from_array(value, name) for name, value in named.items()]


def nodes() -> list[onnx.NodeProto]:
    return [
        helper.make_node("DequantizeLinear", ["fc.weight_q", "fc.scale"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["y"]),
    ]


def model(extra: list[onnx.NodeProto] | None = None, initial: list[TensorProto] | None = None, kind: int = 1):
    graph = helper.make_graph(
        nodes() + (extra or []),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", kind, None)],
        tensors() + (initial or []),
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    )


def written(path: Path, made: onnx.ModelProto) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def assert_near(outputs: np.ndarray, expected: np.ndarray) -> None:
    """ONNX Runtime fuses the two operators into one that rounds activations to int8."""
    assert np.linalg.norm(outputs - expected) < 0.02 * np.linalg.norm(expected)


def test_a_graph_is_read_and_computed_as_numpy_computes_it(tmp_path: Path):
    path = written(tmp_path / "model.onnx", model())
    assert format_of(path) == "onnx"
    [layer] = read(path).layers
    np.testing.assert_array_equal(layer.dequantize().numpy(), (CODES * SCALE).T)
    assert_near(onnx_file(path).model(torch.from_numpy(X)).numpy(), X @ (CODES * SCALE))


def outside(made: onnx.ModelProto, where: str, name: str = "fc.weight_q") -> onnx.ModelProto:
    for each in made.graph.initializer:
        if each.name == name:
            each.data_location = TensorProto.EXTERNAL
            each.ClearField("raw_data")
            each.external_data.add(key="location", value=where)
    return made


def test_data_beside_the_model_is_read_computed_and_in_the_digest(tmp_path: Path):
    (tmp_path / "model.data").write_bytes(CODES.tobytes())
    path = written(tmp_path / "model.onnx", outside(model(), "model.data"))
    np.testing.assert_array_equal(read(path).layers[0].dequantize().numpy(), (CODES * SCALE).T)
    assert_near(onnx_file(path).model(torch.from_numpy(X)).numpy(), X @ (CODES * SCALE))
    before, first = digest_of(path), onnx_file(path).fingerprint
    (tmp_path / "model.data").write_bytes((CODES + 1).tobytes())
    assert digest_of(path) != before
    assert onnx_file(path).fingerprint != first
    (tmp_path / "model.data").write_bytes(CODES.tobytes()[:-1])
    with pytest.raises(UserError, match="is damaged"):
        read(path)


@pytest.mark.parametrize("where", ["../data", "/etc/passwd", "sub/data", "..", "", "a\\b", "missing"])
def test_data_elsewhere_is_refused(tmp_path: Path, where: str):
    (tmp_path / "inner").mkdir()
    (tmp_path / "data").write_bytes(CODES.tobytes())
    path = written(tmp_path / "inner" / "model.onnx", outside(model(), where))
    for ask in (read, onnx_file, digest_of):
        with pytest.raises(UserError, match="no file beside it"):
            ask(path)


def test_a_link_beside_the_model_is_no_data(tmp_path: Path):
    (tmp_path / "data").write_bytes(CODES.tobytes())
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "data").symlink_to(tmp_path / "data")
    with pytest.raises(UserError, match="no file beside it"):
        read(written(tmp_path / "inner" / "model.onnx", outside(model(), "data")))


def branch(where: str) -> onnx.NodeProto:
    """Return an If whose body starts from a tensor in a file."""
    far = numpy_helper.from_array(np.zeros(8, np.float32), "far")
    far.data_location = TensorProto.EXTERNAL
    far.ClearField("raw_data")
    far.external_data.add(key="location", value=where)
    body = helper.make_graph([helper.make_node("Identity", ["far"], ["out"])], "b", [], [value("out")], [far])
    return helper.make_node("If", ["condition"], ["z"], then_branch=body, else_branch=body)


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def condition() -> TensorProto:
    return numpy_helper.from_array(np.array(True), "condition")


def attribute(where: str) -> onnx.NodeProto:
    """Return a constant whose tensor is in a file."""
    node = helper.make_node("Constant", [], ["z"], value=numpy_helper.from_array(np.zeros(8, np.float32), "far"))
    node.attribute[0].t.data_location = TensorProto.EXTERNAL
    node.attribute[0].t.ClearField("raw_data")
    node.attribute[0].t.external_data.add(key="location", value=where)
    return node


def endless() -> onnx.NodeProto:
    outputs = [helper.make_tensor_value_info("go", TensorProto.BOOL, []), value("again")]
    inputs = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        value("carried"),
    ]
    steps = [helper.make_node("Identity", ["c"], ["go"]), helper.make_node("Identity", ["carried"], ["again"])]
    body = helper.make_graph(steps, "b", inputs, outputs)
    return helper.make_node("Loop", ["", "condition", "bias"], ["z"], body=body)


def doubling(times: int) -> list[onnx.NodeProto]:
    names = ["bias", *(f"d{step}" for step in range(times))]
    return [helper.make_node("Concat", [one, one], [other], axis=0) for one, other in itertools.pairwise(names)]


def chain(length: int) -> list[onnx.NodeProto]:
    """Return DequantizeLinear nodes each of which reads the one before twice."""
    made, last = [], "w"
    for step in range(length):
        for half in "ab":
            made.append(helper.make_node("DequantizeLinear", [last, "fc.scale"], [f"{half}{step}"]))
        last = f"a{step}"
    return made


def nbits(**words: int) -> onnx.NodeProto:
    own = {"K": 16, "N": 8, "bits": 4, "block_size": 16} | words
    return helper.make_node("MatMulNBits", ["x", "packed", "scales"], ["z"], domain="com.microsoft", **own)


def packed() -> list[TensorProto]:
    named = {"packed": np.zeros((8, 1, 8), np.uint8), "scales": np.ones(8, np.float32)}
    return [numpy_helper.from_array(array, name) for name, array in named.items()]


def huge() -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "huge")
    tensor.dims[:] = [10**9, 10]
    return tensor


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "an inner graph with data elsewhere": (lambda: model([branch("x")], [condition()]), "inside of an operator"),
    "an attribute with data elsewhere": (lambda: model([attribute("x")]), "inside of an operator"),
    "an endless loop": (lambda: model([endless()], [condition()]), "Loop may never end"),
    "a chain that doubles": (lambda: model(doubling(60)), "makes a tensor"),
    "bits beyond all": (lambda: model([nbits(bits=10**10)], packed()), "MatMulNBits of 10000000000 bits"),
    "blocks of nothing": (lambda: model([nbits(block_size=0)], packed()), "in blocks of 0"),
    "columns beyond all": (lambda: model([nbits(K=10**12)], packed()), "is damaged"),
    "an unknown attribute": (lambda: model([nbits(rotation=1)], packed()), "rotation = 1 of MatMulNBits is not"),
    "an unknown operator": (lambda: model([helper.make_node("Run", ["x"], ["z"], domain="evil")]), "of 'evil' is not"),
    "a shape beyond its bytes": (lambda: model(initial=[huge()]), "is held in"),
    "a tensor twice": (lambda: model(initial=tensors()[:1]), "two tensors have one name"),
    "experts": (
        lambda: model([helper.make_node("QMoE", ["x", "w"], ["z"], domain="com.microsoft")]),
        "the codes of QMoE are not read",
    ),
    "another alpha": (lambda: model([helper.make_node("Gemm", ["x", "w"], ["z"], alpha=2.0)]), "alpha = 2.0 of Gemm"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_graph_that_nobody_should_compute_is_refused_at_once(tmp_path: Path, kind: str):
    make, words = REFUSED[kind]
    path, start = written(tmp_path / "model.onnx", make()), time.perf_counter()
    for ask in (read, onnx_file):
        with pytest.raises(UserError, match=words):
            ask(path)
    assert time.perf_counter() - start < 10


def test_a_long_chain_of_dequantized_values_is_followed_once(tmp_path: Path):
    start = time.perf_counter()
    assert read(written(tmp_path / "model.onnx", model(chain(60)))).layers
    assert time.perf_counter() - start < 10


def test_data_that_is_given_twice_is_read_as_onnx_runtime_reads_it(tmp_path: Path):
    made = model()
    inner = made.graph.initializer[0].SerializeToString()
    twice = inner + b"\x4a" + varint(CODES.size) + (-CODES).tobytes()  # raw_data, field 9, once more
    assert len(twice) < 2**14
    content = made.SerializeToString().replace(
        b"\x2a" + varint(len(inner)) + inner, b"\x2a" + varint(len(twice)) + twice
    )
    graph = made.graph.SerializeToString()
    larger = varint(len(graph) + len(twice) - len(inner) + len(varint(len(twice))) - len(varint(len(inner))))
    path = tmp_path / "model.onnx"
    path.write_bytes(content.replace(b"\x3a" + varint(len(graph)), b"\x3a" + larger))
    [layer] = read(path).layers
    outputs = onnx_file(path).model(torch.from_numpy(X)).numpy()
    assert_near(outputs, X @ layer.dequantize().numpy().T)
    np.testing.assert_array_equal(layer.dequantize().numpy(), (-CODES * SCALE).T)


def varint(number: int) -> bytes:
    made = b""
    while number >= 128:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def test_a_graph_that_returns_text_is_refused(tmp_path: Path):
    last = helper.make_node("Cast", ["y"], ["text"], to=TensorProto.STRING)
    made = model([last])
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("text", TensorProto.STRING, None))
    with pytest.raises(UserError, match="and no numbers"):
        onnx_file(written(tmp_path / "model.onnx", made)).model(torch.from_numpy(X))
