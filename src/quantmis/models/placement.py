"""Where models are trained, quantized and scored, and in which number format."""

from dataclasses import dataclass

import torch
from torch import Tensor

from quantmis.errors import UserError, require
from quantmis.registry import suggestion

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Placement:
    """Name a device, or "auto" for an accelerator where there is one, and a number format, None for the model's own.

    Raises `UserError` for one that is not known, or that this machine has not.
    """

    device: str = "auto"
    dtype: str | None = None

    def __post_init__(self):
        require(self.device in DEVICES, f"device: unknown {self.device!r}", hint=suggestion(self.device, DEVICES))
        own = self.dtype is None or self.dtype in DTYPES
        require(own, f"dtype: unknown {self.dtype!r}", hint=suggestion(str(self.dtype), DTYPES))
        there = devices()
        if self.device not in ("auto", *there):
            hint = f"this machine has {', '.join(there)}; auto takes the first"
            raise UserError(f"device: there is no {self.device} here", hint=hint)

    @property
    def place(self) -> torch.device:
        """The device itself."""
        return torch.device(devices()[0] if self.device == "auto" else self.device)

    @property
    def format(self) -> torch.dtype | None:
        """The number format of weights, None for their own."""
        return None if self.dtype is None else getattr(torch, self.dtype)


def devices() -> list[str]:
    """Return the devices of this machine, the fastest first."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [*(name for name, is_there in there.items() if is_there), "cpu"]


def in_double(value: Tensor) -> Tensor:
    """Return a tensor in double precision, on the processor where its device has none."""
    return with_doubles(value).double()


def with_doubles(value: Tensor) -> Tensor:
    """Return a tensor where sums in double precision can be computed: on the processor in place of an Apple GPU."""
    return value.cpu() if value.device.type == "mps" else value
