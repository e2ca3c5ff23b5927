"""The loss of a model with one output for two classes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from quantmis.errors import require
from quantmis.models.loss_checks import label_hint, require_outputs
from quantmis.models.losses import LOSSES, MultiLabel


@LOSSES.add
@dataclass(frozen=True)
class BinaryCrossEntropy(MultiLabel):
    """Compare one logit [samples, 1] with labels 0 and 1: that of a model with a single output for two classes.

    The signal is the logit towards the truth, log(p / (1 - p)) with p the probability given to the label; everything
    is what cross_entropy makes of the two logits 0 and z. `outputs`: "logits" or "probabilities" of label 1.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    metric: ClassVar[str] = "accuracy"

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse labels other than 0 and 1, and models of more outputs than one."""
        good = y.ndim == 1 and bool(np.isin(y, (0, 1)).all())
        require(good, f"{self.name} expects labels 0 and 1, [samples]", hint=label_hint(y))
        require_outputs(self.name, outputs, len(y), "1", 1)

    def targets(self, y: np.ndarray) -> Tensor:
        """Return labels as float32 [samples, 1]."""
        return torch.from_numpy(y.astype(np.float32))[:, None]

    def entropy(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return -2 (1 - p_y) log p_y: the modified entropy of two classes (Song & Mittal 2021, eq. 8)."""
        towards = self._towards(outputs, y).squeeze(-1)
        return 2 * torch.sigmoid(-towards) * functional.softplus(-towards)

    def classes(self, y: np.ndarray) -> np.ndarray:
        """Return the labels themselves."""
        return y.astype(np.int64)
