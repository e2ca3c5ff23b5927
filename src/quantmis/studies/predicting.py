"""A loss whose worth is the prediction itself: for metrics that no mean over samples gives, such as AUROC."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from quantmis.models.losses import Loss


@dataclass(frozen=True)
class Predicting(Loss):
    """Train and attack as `of` does; the worth of a sample is what is predicted of it.

    That is the logit of class 1 less that of class 0, or the one output of a regression.
    """

    of: Loss
    name: ClassVar[str] = "predicting"
    metric: ClassVar[str] = "prediction"

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse what `of` refuses."""
        self.of.check(y, outputs)

    def targets(self, y: np.ndarray) -> Tensor:
        """Return the targets of `of`."""
        return self.of.targets(y)

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the losses of `of`."""
        return self.of.losses(outputs, y)

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the signals of `of`."""
        return self.of.signals(outputs, y)

    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the prediction at each sample."""
        return outputs[..., -1] - outputs[..., 0] if outputs.shape[-1] > 1 else outputs[..., 0]

    def classes(self, y: np.ndarray) -> np.ndarray | None:
        """Return the classes of `of`."""
        return self.of.classes(y)
