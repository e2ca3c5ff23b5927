"""Score texts that come in several forms (`quantmis.data.forms`): each form by itself, among others of its length.

So a text is not filled up to the length that it has behind a prefix, a form that is the text itself is not read again,
and none is read that is not there.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from quantmis.data.forms import NEIGHBOURS, OWN, SURPRISE
from quantmis.data.tokens import PADDING
from quantmis.models.text_statistics import ABSENT, ALWAYS, LOSS

Score = Callable[[Tensor, Tensor | None], Tensor]


def scored_by_form(score: Score, x: Tensor) -> Tensor:
    """Return the statistics of texts [texts, forms, longest], as the model itself would from all forms at once.

    `score` takes texts [texts, longest], and the surprise of their tokens or None, and returns the statistics of these.
    """
    forms = x.shape[1]
    surprise = x[:, SURPRISE] if forms > SURPRISE and bool((x[:, SURPRISE] != PADDING).any()) else None
    first = score(x[:, OWN], surprise)
    others = [_losses(score, x, form, first) for form in range(1, min(forms, SURPRISE))]
    calibrated = [] if forms <= SURPRISE else [first[:, ALWAYS] if surprise is not None else _absent(first)]
    neighbours = [_mean_loss(score, x[:, NEIGHBOURS:])] if forms > NEIGHBOURS else []
    return torch.cat([first[:, :ALWAYS], *(each[:, None] for each in (*others, *calibrated, *neighbours))], dim=1)


def _losses(score: Score, x: Tensor, form: int, first: Tensor) -> Tensor:
    """Return the loss of each text in one form, `ABSENT` where there is none; `first` are the statistics of texts."""
    others, losses = x[:, form], first[:, LOSS].clone()
    if not bool((others != PADDING).any()):
        return _absent(first)
    differs = (others != x[:, OWN]).any(1)
    if bool(differs.any()):
        losses[differs] = score(others[differs], None)[:, LOSS]
    return losses


def _mean_loss(score: Score, neighbours: Tensor) -> Tensor:
    return score(neighbours.flatten(0, 1), None)[:, LOSS].view(neighbours.shape[:2]).mean(1)


def _absent(first: Tensor) -> Tensor:
    return torch.full_like(first[:, LOSS], ABSENT)
