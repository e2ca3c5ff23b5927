"""What a quantizer that looks at labels is shown: members of the model, held-out samples, and the loss of the task.

The held-out samples here are spent: a version that was fitted to them has in a sense been trained on them, so nothing
is measured on them afterwards, and whoever must not be exposed does not belong among them.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from quantmis.errors import require

FEWEST = 2
"""Samples of a kind without which there is nothing to fit."""


@runtime_checkable
class Judge(Protocol):
    """Say of outputs [models, samples, ...] and targets what the loss and the signal of each sample is."""

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each sample."""
        ...

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the signal of each sample, larger where it is rather a member."""
        ...


@dataclass(frozen=True, eq=False)
class Labelled:
    """Hold the samples `rows` of `inputs` [all, ...] with their `targets` [all, ...], which many models may share."""

    inputs: Tensor
    targets: Tensor
    rows: Int[Tensor, " samples"]

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor) -> "Labelled":
        """Return all of the samples.

        >>> len(Labelled.of(torch.zeros(5, 2), torch.zeros(5)))
        5
        """
        return cls(inputs, targets, torch.arange(len(inputs)))

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: Int[Tensor, " some"]) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of the samples at `places` among them."""
        return self.inputs[self.rows[places]], self.targets[self.rows[places]]


@dataclass(frozen=True, eq=False)
class Supervision:
    """Hold the `members` of a model, `held_out` samples that it was not trained on, and the `loss` of its task.

    Raises `UserError` where there are fewer than two of either, and where a held-out sample is a member.
    """

    members: Labelled
    held_out: Labelled
    loss: Judge

    def __post_init__(self):
        require(
            len(self.members) >= FEWEST,
            f"the members of the model are not known: {len(self.members)} were given",
            hint="members are the samples that the model was trained on, inputs and targets",
        )
        require(
            len(self.held_out) >= FEWEST,
            f"there are no held-out samples to fit to: {len(self.held_out)} were given",
            hint="held-out samples are of the same kind as the members and were shown to no training",
        )
        shared = _shared(self.members, self.held_out)
        require(
            not shared,
            f"{shared} of the held-out samples are members of the model too",
            hint="a version that is fitted to members gives more of them away, not less",
        )

    @property
    def inputs(self) -> Tensor:
        """The inputs of the held-out samples: what a quantizer that looks at data alone is shown."""
        return self.held_out.inputs[self.held_out.rows]


def _shared(members: Labelled, held_out: Labelled) -> int:
    """Count the held-out samples that are members: by their numbers, or by their bytes where they lie elsewhere."""
    if members.inputs is held_out.inputs:
        return int(torch.isin(held_out.rows, members.rows).sum())
    own = {each.numpy().tobytes() for each in members.inputs[members.rows]}
    return sum(each.numpy().tobytes() in own for each in held_out.inputs[held_out.rows])
