"""From a model to its row of the loss table."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.models.losses import Loss

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Row:
    """Hold what one model makes of each sample: its loss, membership signal and, where known, worth and entropy."""

    losses: Float[np.ndarray, " samples"]
    signals: Float[np.ndarray, " samples"]
    worth: Float[np.ndarray, " samples"] | None
    entropy: Float[np.ndarray, " samples"] | None


def row(module: nn.Module, loss: Loss, x: Tensor, y: Tensor, name: str = "the model") -> Row:
    """Return the row of `module` over inputs `x` [samples, ...] and targets `y` [samples, ...], in float32.

    The forward pass is the module's own. Raises `UserError` for outputs that are not finite.
    """
    outputs = forward(module, x)
    require(
        bool(torch.isfinite(outputs).all()),
        f"{name} returns outputs that are NaN or infinite",
        hint="the loss table takes finite losses only; leave this model or quantizer out",
    )
    entropy = loss.entropy(outputs, y)
    return Row(
        losses=loss.losses(outputs, y).numpy(),
        signals=loss.signals(outputs, y).numpy(),
        worth=loss.worth(outputs, y).numpy(),
        entropy=None if entropy is None else entropy.numpy(),
    )


@torch.no_grad()
def forward(module: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of `module` in evaluation mode, [samples, outputs], a chunk of samples at a time.

    A module may have a number `samples_at_once` that fits its memory.
    """
    module.eval()
    size = getattr(module, "samples_at_once", CHUNK)
    return torch.cat([module(chunk) for chunk in x.split(size)]).float()
