"""How differently a model treats members and held-out samples, as a number that gradients can follow."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Form = Literal["mean", "log_odds", "discriminator"]

Members = Float[Tensor, "models members"]
HeldOut = Float[Tensor, "models held_out"]


def gap_of_means(members: Members, held_out: HeldOut) -> Float[Tensor, " models"]:
    """Return how far apart the mean losses are; a member that is worse off than others gives itself away too.

    >>> gap_of_means(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 3.0]]))
    tensor([2.])
    """
    return (held_out.mean(1) - members.mean(1)).abs()


def gap_of_quantiles(members: Members, held_out: HeldOut) -> Float[Tensor, " models"]:
    """Return the mean distance of the sorted signals, of equally many samples: the Wasserstein distance.

    >>> gap_of_quantiles(torch.tensor([[0.0, 4.0]]), torch.tensor([[3.0, 1.0]]))
    tensor([1.])
    """
    count = min(members.shape[1], held_out.shape[1])
    return (members[:, :count].sort(1).values - held_out[:, :count].sort(1).values).abs().mean(1)


def gap_of_discriminator(members: Members, held_out: HeldOut) -> Float[Tensor, " models"]:
    """Return how well the best discriminator of the unit ball of a Gaussian kernel tells the signals apart.

    The maximum mean discrepancy (Gretton et al. 2012), its kernel as wide as the signals are spread. It is the maximum
    over all such discriminators, so that none is trained beside the rounding.

    >>> same = torch.tensor([[0.0, 1.0, 2.0]])
    >>> float(gap_of_discriminator(same, same)) < 1e-3 < float(gap_of_discriminator(same, same + 5))
    True
    """
    both = torch.cat([members, held_out], 1)
    width = both.detach().std(1).clamp(min=1e-6)[:, None, None]

    def likeness(one: Tensor, other: Tensor) -> Tensor:
        return torch.exp(-((one[:, :, None] - other[:, None, :]) / width).square() / 2).mean((1, 2))

    square = likeness(members, members) + likeness(held_out, held_out) - 2 * likeness(members, held_out)
    return square.clamp(min=1e-12).sqrt()


GAPS: dict[Form, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": gap_of_means,
    "log_odds": gap_of_quantiles,
    "discriminator": gap_of_discriminator,
}
"""Of losses ("mean"), or of membership signals, which are log-odds where the task has classes."""
