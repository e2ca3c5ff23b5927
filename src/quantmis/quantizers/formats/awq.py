"""AWQ checkpoints in safetensors, in AutoAWQ's packing for matrix products ("gemm"), of four bits.

`qweight` is [inputs, outputs / 8]: a 32-bit word holds the codes of eight outputs, the output of each of its nibbles
from the lowest up being `ORDER`. `qzeros`, [groups, outputs / 8], packs zero points alike, as they are; `scales` is
[groups, outputs]. A weight is (code - zero point) * scale.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.gptq import HISTORY
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read, signed
from quantmis.quantizers.formats.words import Vocabulary, numbers, require_understood, words_of
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import Entry

PARTS = ("qweight", "qzeros", "scales")
BITS = 4
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
GEMM = ("gemm", "GEMM")
WORDS = Vocabulary(
    HISTORY - {"backend"} | words_of("modules_to_not_convert do_fuse fuse_max_seq_len modules_to_fuse"),
    {
        "version": GEMM,
        "format": GEMM,
        "checkpoint_format": GEMM,
        "zero_point": (True,),
        "backend": ("autoawq", "auto", "auto_trainable", "gemm"),
        "pack_dtype": ("int32",),
    },
)


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether a file's tensors are those of AWQ: codes and zero points packed along the same dimension."""
    pairs = [(name, f"{name.removesuffix('.qweight')}.qzeros") for name in entries if name.endswith(".qweight")]
    shapes = [(entries[code].shape, entries[zero].shape) for code, zero in pairs if zero in entries]
    return any(len(code) == len(zero) == 2 and code[1] == zero[1] for code, zero in shapes)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    codes, packed, scale = (tensors[f"{name}.{part}"] for part in PARTS)
    inputs, (groups, outputs) = codes.shape[0], scale.shape
    require(
        codes.shape == (inputs, outputs * BITS // 32) and packed.shape == (groups, outputs * BITS // 32),
        f"{name} is damaged, or in another of AWQ's packings than gemm: {list(codes.shape)} words of codes, "
        f"{list(packed.shape)} of zero points, {list(scale.shape)} scales",
    )
    size = group_size(name, inputs, groups, numbers(words, "group_size", "q_group_size"))
    return signed(name, BITS, _outputs(codes).T, scale.T, _outputs(packed).T, size)


def _outputs(words: Tensor) -> Tensor:
    """Return the codes of packed words, [rows, words], in the order of outputs, [rows, 8 * words]."""
    nibbles = torch.tensor([ORDER.index(output) for output in range(len(ORDER))])
    return ((words.long()[:, :, None] >> nibbles * BITS) & (2**BITS - 1)).flatten(1)
