"""Codes of a few bits, packed into 32-bit words."""

import torch
from jaxtyping import Int
from torch import Tensor


def unpacked(words: Int[Tensor, "rows words"], bits: int, columns: int) -> Int[Tensor, "rows columns"]:
    """Return the unsigned codes of each row, the lowest bits of a word first.

    >>> unpacked(torch.tensor([[0x21]], dtype=torch.int32), 4, 2).tolist()
    [[1, 2]]
    """
    shifts = torch.arange(0, 32, bits, device=words.device)
    codes = (words.long()[:, :, None] >> shifts) & (2**bits - 1)
    return codes.flatten(1)[:, :columns]
