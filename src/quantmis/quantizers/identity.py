"""Full precision: the model as it was trained, the row that every quantizer is compared with."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from quantmis.quantizers.base import QUANTIZERS, Quantized, Quantizer, fingerprint, quantizable


@QUANTIZERS.add
@dataclass(frozen=True)
class Identity(Quantizer):
    """Leave the model as it is.

    >>> kept = Identity().quantize(nn.Linear(4, 2))
    >>> kept.bits_per_weight, kept.sparsity
    (32.0, 0.0)
    """

    name: ClassVar[str] = "identity"

    def quantize(
        self, model: nn.Module, calibration: Any = None, generator: torch.Generator | None = None
    ) -> Quantized:
        """Return a copy of `model`; its bits per weight are those of its own number format."""
        weights = list(quantizable(model).values()) or list(model.parameters())
        count = sum(weight.numel() for weight in weights)
        return Quantized(
            model=copy.deepcopy(model),
            layers=(),
            untouched=(),
            weights=count,
            bits_per_weight=sum(8 * weight.nbytes for weight in weights) / count,
            sparsity=sum(int((weight == 0).sum()) for weight in weights) / count,
            fingerprint=fingerprint(model, ()),
        )
