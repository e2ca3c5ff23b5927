"""What a causal language model says by heart: the second half of a text, given its first half; or all that is scored.

Of a text with context, a prompt say (`quantmis.data.tokens`), what is said by heart is what is scored, its completion.

One pass over the text itself tells all there is to know. Greedy decoding says the text exactly where every token of the
second half is the likeliest; and sampling says it with the product of the tokens' probabilities, from which follows how
likely at least one of n tries does (Hayes et al. 2024, arXiv 2410.19482). Nothing is drawn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from quantmis.data.tokens import PADDING
from quantmis.models.language import showing_logits, tokens_with_logits


@dataclass(frozen=True, eq=False)
class Recitation:
    """Hold of each text whether greedy decoding says its second half, and the log-probability of sampling it."""

    by_heart: Bool[np.ndarray, " texts"]
    log_probability: Float[np.ndarray, " texts"]


@torch.no_grad()
def recited(model: nn.Module, texts: Int[Tensor, "texts longest"]) -> Recitation | None:
    """Return what the model says of each text by heart; None for a model that shows no logits.

    `texts` are filled up with -1; of one that is longer than the model's context the beginning counts.
    """
    reading: Any = getattr(model, "reading", None)
    if reading is None:
        return None
    model.eval()
    with showing_logits(model):
        own = texts[:, : reading.context]
        parts = [_recited(model, batch) for batch in own.split(max(1, tokens_with_logits(model) // own.shape[1]))]
    greedy, log_p = (torch.cat(each) for each in zip(*parts, strict=True))
    return Recitation(greedy.numpy(), log_p.double().numpy())


def _recited(model: nn.Module, texts: Tensor) -> tuple[Tensor, Tensor]:
    lengths = (texts != PADDING).sum(1)
    longest = max(2, int(lengths.max()))
    start = torch.where((texts < PADDING).any(1), 1, (lengths // 2).clamp(min=1))
    logits = model(texts[:, :longest])[:, :-1].float()
    follows = texts[:, 1:longest].long()
    is_end = (follows >= 0) & (torch.arange(1, longest) >= start[:, None])
    log_p = logits.log_softmax(-1).gather(-1, follows.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    greedy = ((logits.argmax(-1) == follows) | ~is_end).all(1)
    return greedy, torch.where(is_end, log_p, 0.0).sum(1)
