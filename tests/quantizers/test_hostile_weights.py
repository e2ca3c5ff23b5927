"""State dicts, safetensors and GGUF files that lie about themselves: refused in words, before memory is spent."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from quantmis.errors import UserError
from quantmis.models.weights import read_weights, with_weights
from quantmis.quantizers.formats import format_of, read
from quantmis.tensor_files import head_of


def raw(path: Path, head: object, data: bytes) -> Path:
    """Write a safetensors file with any head."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def tensor(shape: list[int], begin: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


ENTRY = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
HEADS: dict[str, tuple[object, bytes, str]] = {
    "a shape larger than its bytes": ({"a": tensor([1 << 40], 0, 4)}, bytes(4), "takes .* bytes, and 4 are there"),
    "a shape smaller than its bytes": ({"a": tensor([1], 0, 8)}, bytes(8), "takes 4 bytes, and 8 are there"),
    "two tensors in one place": ({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, bytes(4), "overlap"),
    "a gap": ({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, bytes(12), "leave a gap"),
    "bytes behind": ({"a": tensor([1], 0, 4)}, bytes(8), "fill 4 of 8 bytes"),
    "a name twice": (f'{{"a": {ENTRY}, "a": {ENTRY}}}'.encode(), bytes(4), "'a' comes twice"),
    "a negative size": ({"a": tensor([-1, -1], 0, 4)}, bytes(4), "is damaged"),
    "a size that is none": ({"a": tensor([True], 0, 4)}, bytes(4), "is damaged"),  # pyright: ignore
    "an unknown type": ({"a": tensor([1], 0, 4, "Q4")}, bytes(4), "of type 'Q4', which is not read"),
    "NaN": (b'{"a": NaN}', b"", "NaN is no number"),
    "a list": (b"[1]", b"", "its head is no table"),
    "words that are none": ({"__metadata__": {"a": 1}}, b"", "__metadata__ are no words"),
    "a deep head": (b"[" * 50_000, b"", "is no JSON"),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_that_does_not_fit_its_file_is_refused_by_every_reader(tmp_path: Path, kind: str):
    head, data, words = HEADS[kind]
    path = raw(tmp_path / "model.safetensors", head, data)
    for ask in (head_of, read_weights, read, format_of):
        with pytest.raises(UserError, match=words):
            ask(path)


def test_a_head_longer_than_the_file_is_refused(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="its head does not fit"):
        head_of(tmp_path / "model.safetensors")


def archive(tensors: object) -> bytes:
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


def compressed(content: bytes) -> bytes:
    """Return an archive with its parts packed, which PyTorch unpacks without asking how far."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    return stream.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "packed zeros": (lambda: compressed(archive({"a": torch.zeros(2_000_000)})), "compressed, overlap or come twice"),
    "one number spread": (lambda: archive({"a": torch.zeros(1).expand(10**9)}), "spreads 4 bytes over 1000000000"),
    "sparse": (lambda: archive({"a": torch.sparse_coo_tensor([[0]], [1.0], (10**9,))}), "torch.sparse_coo"),
    "complex": (lambda: archive({"a": torch.zeros(2, dtype=torch.complex64)}), "complex64, and no plain tensor"),
    "quantized": (lambda: archive({"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}), "qint8"),
    "meta": (lambda: archive({"a": torch.zeros(10**12, device="meta")}), "without numbers|is damaged"),
    "no tensors": (lambda: archive({"a": 1}), "holds no state dict"),
    "cut": (lambda: archive({"a": torch.zeros(9)})[:300], "is damaged"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_is_no_plain_state_dict_is_refused(tmp_path: Path, kind: str):
    make, words = ARCHIVES[kind]
    (tmp_path / "model.pt").write_bytes(make())
    with pytest.raises(UserError, match=words):
        read_weights(tmp_path / "model.pt")


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path):
    class Shout:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "model.pt").write_bytes(pickle.dumps(Shout()))
    with pytest.raises(UserError, match="is a pickle"):
        read_weights(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize("left_out", [True, False])
def test_tied_weights_are_read_as_save_model_writes_them(tmp_path: Path, left_out: bool):
    model, fresh = Tied(), Tied()
    save_model(model, str(tmp_path / "model.safetensors"))
    if not left_out:  # a file whose head does not say which of the two it left out
        save_file({"embedding.weight": model.embedding.weight.detach()}, tmp_path / "model.safetensors")
    filled = with_weights(fresh, read_weights(tmp_path / "model.safetensors"), "the model")
    assert torch.equal(filled.embedding.weight, model.embedding.weight)
    assert torch.equal(filled.head.weight, model.head.weight)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "net."])
def test_one_prefix_before_all_names_is_taken_off(prefix: str):
    state = {f"{prefix}{name}": value for name, value in nn.Linear(2, 2).state_dict().items()}
    filled = with_weights(nn.Linear(2, 2), state, "the model")
    assert torch.equal(filled.state_dict()["weight"], state[f"{prefix}weight"])


def test_a_wrapper_before_some_names_gets_a_hint_and_both_sides_are_named():
    state = {f"module.{name}": value for name, value in nn.Linear(2, 2).state_dict().items()}
    with pytest.raises(UserError) as refused:
        with_weights(nn.Linear(2, 2), state | {"extra": torch.zeros(1)}, "the model")
    assert str(refused.value) == (
        "the model does not fit the model: weight is missing; bias is missing; module.weight is unknown to the model; "
        "module.bias is unknown to the model; extra is unknown to the model"
    )
    assert "removeprefix('module.')" in str(refused.value.hint)


def test_names_are_what_rename_says():
    state = {"w": torch.ones(2, 2), "bias": torch.zeros(2)}
    filled = with_weights(nn.Linear(2, 2), state, "the model", rename={"w": "weight"})
    assert torch.equal(filled.state_dict()["weight"], torch.ones(2, 2))
    with pytest.raises(UserError, match="rename names v, which it does not hold"):
        with_weights(nn.Linear(2, 2), state, "the model", rename={"v": "weight"})
    with pytest.raises(UserError, match="gives two weights one name"):
        with_weights(nn.Linear(2, 2), state, "the model", rename={"w": "bias"})


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_weights_in_a_checkpoint_are_read(tmp_path: Path, key: str):
    torch.save({"epoch": 3, key: {"weight": torch.ones(2)}}, tmp_path / "last.pt")
    assert read_weights(tmp_path / "last.pt")["weight"].tolist() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_what_is_no_state_dict_is_named(tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save({"epoch": 3, "weight": torch.ones(2)}, path)
    with pytest.raises(UserError, match="beside tensors there is epoch, a int"):
        read_weights(path)
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    with pytest.raises(UserError, match="is TorchScript, a program") as refused:
        read_weights(path)
    assert "torch.jit.load(path).state_dict()" in str(refused.value.hint)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_codes_without_a_scale_are_no_weights(kind: torch.dtype):
    state = {"weight": torch.ones(2, 2).to(kind), "bias": torch.zeros(2)}
    with pytest.raises(UserError, match=r"weight holds .*: codes without a scale"):
        with_weights(nn.Linear(2, 2), state, "the model")


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


def gguf(words: list[tuple[str, int, bytes]], tensors: list[tuple[str, list[int]]], data: bytes = bytes(64)) -> bytes:
    """Return a GGUF file of F32 tensors that all begin at the start of its data."""
    pairs = b"".join(text(name) + struct.pack("<I", kind) + value for name, kind, value in words)
    described = b"".join(
        text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0) for name, shape in tensors
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(words)) + pairs + described
    return head + bytes(-len(head) % 32) + data


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


GGUF: dict[str, tuple[bytes, str]] = {
    "alignment 0": (gguf([("general.alignment", 4, u32(0))], []), "general.alignment = 0 is no power of two"),
    "alignment below 0": (gguf([("general.alignment", 5, b"\xe0\xff\xff\xff")], []), "= -32 is no power"),
    "alignment in words": (gguf([("general.alignment", 8, text("32"))], []), "= '32' is no power"),
    "a word twice": (gguf([("a", 4, u32(1)), ("a", 4, u32(2))], []), "has 'a' twice"),
    "a tensor twice": (gguf([], [("a", [2]), ("a", [2])]), "a name of a tensor comes twice"),
    "no sizes": (gguf([], [("a", [])]), "has 0 dimensions"),
    "a size of nothing": (gguf([], [("a", [0, 4])]), "does not fit into the file"),
    "sizes beyond all": (gguf([], [("a", [2**62, 2**62])]), "does not fit into the file"),
    "more tensors than bytes": (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "do not fit into the file"),
    "an array beyond the file": (gguf([("a", 9, u32(0) + struct.pack("<Q", 2**50))], []), "longer than the file"),
    "arrays in arrays": (gguf([("a", 9, (u32(9) + struct.pack("<Q", 1)) * 2000)], []), "nested too deeply"),
    "a kind that is none": (gguf([("a", 77, b"")], []), "metadata of kind 77"),
    "a tensor beyond the file": (gguf([], [("a", [64])]), "ends before its 256 bytes"),
}


@pytest.mark.parametrize("kind", GGUF)
def test_a_gguf_file_that_lies_is_refused(tmp_path: Path, kind: str):
    content, words = GGUF[kind]
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read(tmp_path / "model.gguf")


def test_a_sound_gguf_file_is_read(tmp_path: Path):
    words = [("general.alignment", 4, u32(32)), ("tokens", 9, u32(8) + struct.pack("<Q", 2) + text("a") + text("b"))]
    (tmp_path / "model.gguf").write_bytes(gguf(words, [("a", [4])], np.arange(4, dtype="<f4").tobytes()))
    assert read(tmp_path / "model.gguf").others["a"].tolist() == [0, 1, 2, 3]


def test_what_gguf_says_of_the_computation_must_be_understood(tmp_path: Path):
    words = [("general.architecture", 8, text("llama")), ("llama.attention.sliding_window", 4, u32(64))]
    (tmp_path / "model.gguf").write_bytes(gguf(words, [("a", [4])]))
    with pytest.raises(UserError, match=r"llama\.attention\.sliding_window = 64 is not understood"):
        read(tmp_path / "model.gguf")
