"""Full precision: the model as it was trained, the row that every quantizer is compared with."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from quantmis.quantizers.base import QUANTIZERS, Change, Generators, Quantizer


@QUANTIZERS.add
@dataclass(frozen=True)
class Identity(Quantizer):
    """Leave the model as it is; its bits per weight are those of its own number format.

    >>> same = Identity().quantize(nn.Linear(4, 2))
    >>> same.bits_per_weight, same.sparsity
    (32.0, 0.0)
    """

    name: ClassVar[str] = "identity"
    levels_per_weight: ClassVar[str] = "all"
    has_codes: ClassVar[bool] = False

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Return the copies as they are."""
        return [Change(model, ()) for model in models]
