"""EXL2 means what exllamav2's code says: a second implementation of the layout, bit by bit, from its published sources.

Codes follow `pack_columns_kernel` (exllamav2_ext/cuda/pack_tensor.cu), scales `AdaptiveQuantizer` and
`make_q_matrix` (conversion/adaptivegptq.py, ext.py), at commit da07fac. The tool itself runs on a GPU alone.
"""

from pathlib import Path

import checkpoints as made
import numpy as np
import pytest
import torch

from quantmis.errors import UserError
from quantmis.quantizers.formats import read

GROUPS = ((6, 32), (5, 32), (4, 64), (3, 32), (2, 32), (8, 32))
"""Bits of each group and its inputs."""

OUTPUTS = 16


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Return codes, [inputs, outputs], as words down each column, bit after bit."""
    words = np.zeros((len(codes) * bits // 32, codes.shape[1]), np.uint32)
    for row, values in enumerate(codes):
        for bit in range(bits):
            place = row * bits + bit
            words[place // 32] |= ((values.astype(np.uint32) >> bit) & 1) << np.uint32(place % 32)
    return words.view(np.int32)


def layer() -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Return the tensors of a layer "0", and its weights, [outputs, inputs]."""
    draw = np.random.default_rng(0)
    inputs = sum(size for _, size in GROUPS)
    order = draw.permutation(inputs)  # the input that each row of the sorted matrix is
    words, pairs, rows, begin = [], [], [], 0
    scale = draw.integers(1, 17, (len(GROUPS), OUTPUTS))
    most = draw.uniform(1, 30, len(GROUPS)).astype(np.float16)
    for index, (bits, size) in enumerate(GROUPS):
        codes = draw.integers(0, 2**bits, (size, OUTPUTS))
        part = packed(codes, bits)
        words.append(part)
        pairs += [bits, begin]
        begin += len(part)
        own = (scale[index] ** 2).astype(np.float16) * (most[index] * np.float16(1 / 256))
        rows.append((codes - 2 ** (bits - 1)) * own.astype(np.float32))
    weight = np.zeros((inputs, OUTPUTS), np.float32)
    weight[order] = np.concatenate(rows)
    tensors = {
        "0.q_weight": torch.from_numpy(np.concatenate(words)),
        "0.q_groups": torch.tensor(pairs, dtype=torch.int16),
        "0.q_scale": made.words(scale - 1),
        "0.q_scale_max": torch.from_numpy(most),
        "0.q_invperm": torch.from_numpy(np.argsort(order).astype(np.int16)),
    }
    return tensors, weight.T


def test_groups_of_several_widths_are_read(tmp_path: Path):
    tensors, weight = layer()
    [own] = read(made.written(tmp_path, tensors, {"quant_method": "exl2", "version": "0.3.2", "bits": 4.5})).layers
    np.testing.assert_array_equal(own.dequantize().numpy(), weight)
    assert own.bits == 8 * sum(value.nbytes for value in tensors.values())


@pytest.mark.parametrize("part", ["q_groups", "q_invperm", "q_scale"])
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, part: str):
    tensors, _ = layer()
    broken = torch.zeros_like(tensors[f"0.{part}"])[:-1]
    with pytest.raises(UserError, match="is damaged"):
        read(made.written(tmp_path, tensors | {f"0.{part}": broken}))
