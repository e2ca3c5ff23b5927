"""The i-quants, NVFP4 and Q1_0 of GGUF, and files in parts, against the package gguf of ggml's own authors."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from quantmis.errors import UserError
from quantmis.quantizers.formats import read
from quantmis.quantizers.formats.ggml import LAYOUTS, decode
from quantmis.quantizers.formats.grids import PACKED, grid
from quantmis.quantizers.formats.i_quants import I_QUANTS
from quantmis.tensor_files import digest_of

ROWS, BLOCKS = 3, 2


def drawn(name: str) -> np.ndarray:
    """Return random bytes of a format, [rows, bytes], with scales that are finite."""
    draw = np.random.default_rng(1)
    blocks = draw.integers(0, 256, (ROWS, BLOCKS, LAYOUTS[name].size), dtype=np.uint8)
    if name == "IQ1_M":  # its scale stands in the high four bits of four words
        blocks[..., 49::2] = blocks[..., 49::2] & 15 | 0x30
    elif name != "NVFP4":
        blocks[..., :2] = draw.normal(0, 0.1, (ROWS, BLOCKS, 1)).astype(np.float16).view(np.uint8)
    return blocks.reshape(ROWS, -1)


@pytest.mark.parametrize("name", sorted(set(I_QUANTS) - {"Q1_0"}))
def test_weights_are_those_of_gguf_bit_for_bit(name: str):
    content, kind = drawn(name), gguf.GGMLQuantizationType[name]
    theirs = gguf.quants.dequantize(content, kind)
    layer = decode("fc", content, name, torch.Size(theirs.shape))
    np.testing.assert_array_equal(layer.dequantize().numpy(), theirs)
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    assert layer.bits / layer.codes.numel() == pytest.approx(8 * size / weights)


def test_a_bit_of_q1_0_is_a_sign():
    content = drawn("Q1_0")  # gguf has its sizes, and no code for it: ggml's dequantize_row_q1_0, written out
    layer = decode("fc", content, "Q1_0", torch.Size((ROWS, 128 * BLOCKS)))
    for row, one in enumerate(content.reshape(ROWS, BLOCKS, 18)):
        for block, part in enumerate(one):
            scale = np.float32(part[:2].view(np.float16)[0])
            for weight in range(128):
                sign = 1 if part[2 + weight // 8] >> weight % 8 & 1 else -1
                assert float(layer.dequantize()[row, 128 * block + weight]) == sign * scale
    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType.Q1_0] == (128, 18)


@pytest.mark.parametrize("name", PACKED)
def test_tables_are_those_of_gguf(name: str):
    kind = getattr(gguf.quants, name)
    kind.init_grid()
    own = np.array(kind.grid_map, np.float32)[grid(name)]
    np.testing.assert_array_equal(own, kind.grid.reshape(kind.grid_shape))


def written(folder: Path, tensors: int) -> Path:
    """Write a model of so many tensors in Q8_0 by gguf, two to a file; return the first file."""
    writer = gguf.GGUFWriter(folder / "model.gguf", "small", split_max_tensors=2)
    for index in range(tensors):
        value = np.random.default_rng(index).normal(size=(4, 32)).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(f"{index}.weight", gguf.quants.quantize(value, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.iterdir())[0]


def test_a_model_in_parts_is_read_from_the_first(tmp_path: Path):
    first = written(tmp_path, 5)
    assert first.name == "model-00001-of-00003.gguf"
    assert [layer.name for layer in read(first).layers] == ["0", "1", "2", "3", "4"]
    before = digest_of(first)
    with (tmp_path / "model-00003-of-00003.gguf").open("r+b") as last:
        last.seek(-1, 2)
        last.write(b"\x01")
    assert digest_of(first) != before


def test_parts_that_are_missing_or_mixed_up_are_refused(tmp_path: Path):
    first = written(tmp_path, 5)
    second, third = (tmp_path / f"model-0000{number}-of-00003.gguf" for number in (2, 3))
    with pytest.raises(UserError, match=r"is part 2 of 3 of a model"):
        read(second)
    content = second.read_bytes()
    second.write_bytes(third.read_bytes())
    with pytest.raises(UserError, match="is number 2 of 3 parts of a model, and by its name 1 of 3"):
        read(first)
    second.unlink()
    with pytest.raises(UserError, match=r"the model has 3 parts, and \['model-00002-of-00003.gguf'\] is missing"):
        read(first)
    (tmp_path / "alone.gguf").write_bytes(content)
    with pytest.raises(UserError, match="is number 1 of 3 parts of a model"):
        read(tmp_path / "alone.gguf")
