"""Extraction (Carlini et al. 2021, arXiv 2012.07805): a language model continues the start of a text to its end.

*Greedy*: always with the likeliest token. *Sampled*: with tokens drawn as the model's probabilities say, in a few tries
of which one that hits is enough.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from quantmis.models.language import showing_logits

TRIES = 10


@torch.no_grad()
def extracted(
    model: nn.Module, texts: Int[Tensor, "texts tokens"], prefix: int, generator: torch.Generator
) -> dict[str, Bool[np.ndarray, " texts"]]:
    """Return which texts the model continues from their first `prefix` tokens to their end, "greedy" and "sampled".

    Nothing is returned for a model that shows no logits, as those of other runtimes.
    """
    reading: Any = getattr(model, "reading", None)
    if reading is None or (reading.context is not None and reading.context < texts.shape[1]):
        return {}
    model.eval()
    start, rest = texts[:, :prefix].long(), texts[:, prefix:].long()
    with showing_logits(model):
        greedy = _continued(model, start, rest.shape[1], None)
        tries = _continued(model, start.repeat(TRIES, 1), rest.shape[1], generator).unflatten(0, (TRIES, -1))
    hits = {"greedy": (greedy == rest).all(1), "sampled": (tries == rest).all(-1).any(0)}
    return {name: hit.numpy() for name, hit in hits.items()}


def _continued(model: nn.Module, start: Tensor, tokens: int, generator: torch.Generator | None) -> Tensor:
    """Return the next `tokens` of each text, [texts, tokens]; the likeliest where there is no `generator`."""
    whole = start
    for _ in range(tokens):
        last = model(whole)[:, -1].float()
        next_token = (
            last.argmax(-1, keepdim=True) if generator is None else last.softmax(-1).multinomial(1, generator=generator)
        )
        whole = torch.cat([whole, next_token], dim=1)
    return whole[:, start.shape[1] :]
