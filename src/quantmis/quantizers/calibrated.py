"""Quantizers that choose among the levels of `Uniform` by looking at data: GPTQ, OBQ, AdaRound, BRECQ."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from quantmis.errors import UserError
from quantmis.quantizers.base import Quantizer
from quantmis.quantizers.codebook import Per
from quantmis.quantizers.uniform import Uniform


@dataclass(frozen=True)
class Calibrated(Quantizer):
    """Choose codes by what they do to outputs. The levels are those of `Uniform`, fitted to the weights before."""

    bits: int = 4
    per: Per = "channel"
    group_size: int | None = None
    symmetric: bool = True
    range: Literal["mse", "max", "percentile"] = "mse"
    narrow: bool = False
    needs_calibration: ClassVar[bool] = True
    levels_per_weight: ClassVar[str] = "2^bits"

    def require_levels(self) -> None:
        """Raise `UserError`, in the name of this method, unless there are such levels."""
        try:
            self.levels()
        except UserError as error:
            raise UserError(str(error).replace(f"{Uniform.name}:", f"{self.name}:", 1), error.hint) from error

    def levels(self) -> Uniform:
        """Return the quantizer whose levels the codes are chosen from; the parameters mean there what they do here."""
        return Uniform(
            self.bits, self.per, self.group_size, symmetric=self.symmetric, range=self.range, narrow=self.narrow
        )
