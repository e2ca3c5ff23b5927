"""LiteRT files are computed as their interpreter computes them, and such that nobody should compute are refused."""

import pickle
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from torch import nn
from torch.nn import functional

import quantmis as qm
from quantmis.audit.target.weights import is_computed_elsewhere
from quantmis.errors import UserError
from quantmis.inspection.inspecting import inspect
from quantmis.quantizers.extras import adapter
from quantmis.quantizers.extras.litert_file import litert_file
from quantmis.quantizers.formats import format_of, read, restore
from quantmis.tensor_files import looks_like_pickle

DATA = Path(__file__).parents[1] / "data"
CASES = sorted(each.name for each in (DATA / "tools").glob("litert-*"))
X = torch.from_numpy(np.random.default_rng(22).normal(size=(5, 8, 8, 3)).astype(np.float32))


def source(case: str) -> Path:
    return DATA / "tools" / case / "model.tflite"


def by_weights(path: Path, x: torch.Tensor) -> torch.Tensor:
    """Return what the network computes in PyTorch with the weights of a file, without rounding of activations."""
    artefact = read(path)
    weight, bias = {each.name: each.dequantize() for each in artefact.layers}, artefact.others or {}
    padded = functional.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1))
    images = functional.conv2d(padded, weight["conv"], bias["conv.bias"], stride=2).relu()
    hidden = functional.linear(images.permute(0, 2, 3, 1).flatten(1), weight["fc1"], bias["fc1.bias"]).relu()
    return functional.linear(hidden, weight["fc2"], bias["fc2.bias"])


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_computed_as_the_interpreter_computes_one_sample_after_the_other(case: str):
    own = Interpreter(model_path=str(source(case)), num_threads=1)
    own.allocate_tensors()
    [entry], [leaving] = own.get_input_details(), own.get_output_details()
    outputs = []
    for sample in X.numpy():
        scale, zero = entry["quantization"]
        rounded = np.clip(np.round(sample / scale) + zero, -128, 127).astype(np.int8) if scale else sample
        own.set_tensor(entry["index"], rounded[None])
        own.invoke()
        scale, zero = leaving["quantization"]
        y = own.get_tensor(leaving["index"])[0]
        outputs.append((y.astype(np.float32) - zero) * np.float32(scale) if scale else y)
    found = litert_file(source(case)).model(X).numpy()
    np.testing.assert_allclose(found, outputs, rtol=0, atol=2e-6 * np.abs(outputs).max())


@pytest.mark.parametrize("case", CASES)
def test_what_is_computed_is_near_what_the_weights_of_the_record_compute(case: str):
    found, expected = litert_file(source(case)), by_weights(source(case), X)
    apart = float((found.model(X) - expected).norm() / expected.norm())
    assert apart < (0.2 if "static" in case else 0.02)
    assert found.rounds_activations == (case != "litert-weights-4") == (apart > 1e-6)
    assert found.bits_per_weight == pytest.approx(inspected_bits(source(case)))
    assert ("activations (rounded where the file runs)" in read(source(case)).notes) == found.rounds_activations


def inspected_bits(path: Path) -> float:
    """Return the bits of a weight from what an inspection says alone: scales of two or four bytes each."""
    layers = inspect(path).layers
    scales = {"litert-blocks-4": 16 * 32 * 4 + 32 * 18}.get(path.parent.name, 32 * (8 + 32 + 10))
    weights = sum(each.weights or 0 for each in layers)
    return (sum((each.weights or 0) * (each.bits or 0) for each in layers) + scales) / weights


def test_an_audit_lets_the_interpreter_compute_a_file_and_pytorch_a_decoder():
    assert is_computed_elsewhere(source("litert-static-8"))
    assert not is_computed_elsewhere(DATA / "tools" / "onnxruntime-genai-int4")


def test_a_process_of_its_own_computes_the_same():
    module = litert_file(source("litert-dynamic-4")).model
    assert torch.equal(pickle.loads(pickle.dumps(module))(X), module(X))


def test_weights_are_put_into_a_model_with_the_names_of_the_file():
    parts = {"conv": nn.Conv2d(3, 8, 3), "fc1": nn.Linear(128, 32), "fc2": nn.Linear(32, 10)}
    restored = restore(nn.ModuleDict(parts), source("litert-weights-4"))
    weights = {layer.name: layer.dequantize() for layer in read(source("litert-weights-4")).layers}
    assert all(torch.equal(restored.model[name].weight, weights[name]) for name in parts)


def altered(change: Callable[[schema.ModelT], None], case: str = "litert-dynamic-8") -> bytes:
    """Return a file after a change of it by the classes of the schema."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source(case).read_bytes()))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def tensor(model: schema.ModelT, name: str) -> schema.TensorT:
    return next(each for each in model.subgraphs[0].tensors if each.name == name.encode())


def as_operator(kind: int, custom: bytes | None = None) -> Callable[[schema.ModelT], None]:
    """Return a change of the operator of the layers into another."""

    def change(model: schema.ModelT) -> None:
        model.operatorCodes[2] = schema.OperatorCodeT(min(kind, 127), custom, builtinCode=kind)

    return change


def sizes_beyond_all(model: schema.ModelT) -> None:
    buffer = model.buffers[tensor(model, "shape").buffer]
    buffer.data = np.frombuffer(np.array([2**31 - 1, 2**31 - 1], "<i4").tobytes(), np.uint8)


def codes_cut(model: schema.ModelT) -> None:
    buffer = model.buffers[tensor(model, "fc1.weight").buffer]
    buffer.data = buffer.data[:-1]


def set_to(name: str, **values: object) -> Callable[[schema.ModelT], None]:
    """Return a change of the fields of a tensor."""
    return lambda model: tensor(model, name).__dict__.update(values)


def custom_scales(model: schema.ModelT) -> None:
    own = tensor(model, "fc1.weight").quantization
    own.detailsType, own.details = schema.QuantizationDetails.CustomQuantization, schema.CustomQuantizationT([1])


def too_few_scales(model: schema.ModelT) -> None:
    own = tensor(model, "fc1.weight").quantization
    own.scale, own.zeroPoint = own.scale[:5], own.zeroPoint[:5]


REFUSED_TO_READ: dict[str, tuple[Callable[[schema.ModelT], None], str]] = {
    "codes that are cut": (codes_cut, "4096 codes of 8 bits in 4095 bytes"),
    "sparse weights": (set_to("fc1.weight", sparsity=schema.SparsityParametersT()), "is sparse"),
    "numbers in another file": (set_to("fc1.weight", externalBuffer=1), "a file of its own"),
    "a buffer that is not there": (set_to("fc1.weight", buffer=99), "a buffer that is not there"),
    "a shape beyond all": (set_to("hidden", shape=[2**30, 2**30]), "has the shape"),
    "scales of its own kind": (custom_scales, "in a way of its own"),
    "too few scales": (too_few_scales, r"5 scales do not go with \[32, 128\]"),
    "scales of blocks of a type that is not known": (
        set_to("fc1.weight_scales", type=-100),
        "scales of type -100 are not read",
    ),
    "an operator on nothing": (
        lambda model: model.subgraphs[0].operators[0].__dict__.update(inputs=[0, 77]),
        "reads a tensor that is not there",
    ),
}
REFUSED_TO_COMPUTE: dict[str, tuple[Callable[[schema.ModelT], None], str]] = {
    "an operator of somebody's own": (as_operator(32, b"Run"), "operator CUSTOM 'Run' is not known here"),
    "a loop": (as_operator(119), "operator WHILE may never end"),
    "a draw": (as_operator(148), "operator RANDOM_UNIFORM draws at random"),
    "a memory": (as_operator(144), "ASSIGN_VARIABLE lets one sample change the next"),
    "another dialect": (as_operator(206), "operator number 206 is not known here"),
    "two graphs": (lambda model: model.subgraphs.append(model.subgraphs[0]), "holds 2 graphs"),
    "no output": (lambda model: setattr(model.subgraphs[0], "outputs", []), "returns nothing"),
    "two inputs": (lambda model: setattr(model.subgraphs[0], "inputs", [0, 1]), "graphs of one input"),
    "sizes beyond all": (sizes_beyond_all, "RESHAPE makes a tensor of"),
}


@pytest.mark.parametrize("kind", REFUSED_TO_READ)
def test_a_file_that_does_not_fit_itself_is_refused(tmp_path: Path, kind: str):
    change, words = REFUSED_TO_READ[kind]
    case = "litert-blocks-4" if "blocks" in kind else "litert-dynamic-8"
    path = written(tmp_path / "model.tflite", altered(change, case))
    for ask in (read, litert_file):
        with pytest.raises(UserError, match=words):
            ask(path)


@pytest.mark.parametrize("kind", REFUSED_TO_COMPUTE)
def test_a_graph_that_nobody_should_compute_is_read_and_not_computed(tmp_path: Path, kind: str):
    change, words = REFUSED_TO_COMPUTE[kind]
    path = written(tmp_path / "model.tflite", altered(change))
    with pytest.raises(UserError, match=words):
        litert_file(path)
    found = inspect(path)
    assert found.is_read
    assert kind == "sizes beyond all" or not found.is_exact
    assert {each.name for each in read(path).layers} == {"conv", "fc1", "fc2"}


def fixed(model: schema.ModelT) -> None:
    """Make the number of samples that a graph takes two."""
    for each in model.subgraphs[0].tensors:
        if each.shapeSignature is not None and len(each.shapeSignature):
            each.shape, each.shapeSignature = [2, *each.shape[1:]], None


def test_a_graph_of_so_many_inputs_is_given_as_many_at_once(tmp_path: Path):
    path = written(tmp_path / "model.tflite", altered(fixed))
    assert torch.equal(litert_file(path).model(X), litert_file(source("litert-dynamic-8")).model(X))


def test_a_graph_of_no_inputs_at_once_is_refused(tmp_path: Path):
    def none_at_once(model: schema.ModelT) -> None:
        tensor(model, "x").shape, tensor(model, "x").shapeSignature = [0, 8, 8, 3], None

    with pytest.raises(UserError, match=r"takes 0 samples at once|refuses it"):
        litert_file(written(tmp_path / "model.tflite", altered(none_at_once))).model(X)


def test_inputs_that_a_graph_does_not_take_are_refused():
    module = litert_file(source("litert-dynamic-8")).model
    with pytest.raises(UserError, match=r"takes samples of shape \[8, 8, 3\], and those of the task are \[3, 8, 8\]"):
        module(X.permute(0, 3, 1, 2))


def test_a_file_in_full_precision_is_refused_and_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    assert format_of(DATA / "plain.tflite") == "litert"
    assert inspect(DATA / "plain.tflite").why == "it is not quantized"
    with pytest.raises(UserError, match="holds no quantized weights"):
        litert_file(DATA / "plain.tflite")
    monkeypatch.setattr(adapter, "importable", lambda library: library != "ai_edge_litert")
    with pytest.raises(UserError, match="needs ai_edge_litert") as refused:
        litert_file(source("litert-dynamic-8"))
    assert refused.value.hint == "pip install 'quantmis[litert]'"


def test_a_file_that_begins_as_a_pickle_does_is_none_where_the_sign_follows():
    assert not looks_like_pickle(b"\x80\0\0\0TFL3\0")
    assert looks_like_pickle(b"\x80\x04\x95\0\0\0\0\0\0")


@pytest.mark.slow
def test_a_file_is_audited_by_the_losses_of_what_the_interpreter_computes(tmp_path: Path):
    x = np.random.default_rng(5).normal(size=(240, 8, 8, 3)).astype(np.float32)
    path, y = source("litert-static-8"), np.arange(240) % 10
    target = qm.Target(path, list(range(120)), list(range(120, 240)))
    task = qm.Task(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10)))
    document = qm.audit(task, qm.Samples(x, y), target=target, progress=False, out=tmp_path / "out").document
    [version] = document.versions
    with np.load(tmp_path / "out" / version.table, allow_pickle=False) as table:
        found = table["losses"][0]
    logits = litert_file(path).model(torch.from_numpy(x))
    expected = functional.cross_entropy(logits, torch.from_numpy(y), reduction="none").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert version["bits_per_weight"] == pytest.approx(inspected_bits(path))
