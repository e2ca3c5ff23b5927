"""The forms in which a text comes to a causal language model, [texts, forms, longest]: each is one more reading of it.

A form that a text does not come in is filling alone. What follows the last form that is asked for is left out, so that
texts by themselves are [texts, longest].
"""

import numpy as np
from jaxtyping import Int

OWN, LOWERCASE, PREFIXED, MEMBER_PREFIXED, SURPRISE, NEIGHBOURS = range(6)
"""The text; in lower case; behind texts that the model never saw; behind texts that it was trained on; how rare each
of its tokens is in a corpus (no tokens but numbers, see `UNIT`); from there on, copies with other tokens in places."""

UNIT = 2.0**-20
"""Nats: what a number of the form `SURPRISE` counts. Tokens that do not count there are 0."""


def own(x: Int[np.ndarray, "texts ..."]) -> Int[np.ndarray, "texts longest"]:
    """Return the tokens of texts as they are, whatever other forms they come in.

    >>> own(np.array([[[5, 6], [7, 8]]])).tolist()
    [[5, 6]]
    """
    return x if x.ndim == 2 else x[:, OWN]


def all_tokens(x: Int[np.ndarray, "texts ..."]) -> Int[np.ndarray, "texts ..."]:
    """Return every form of texts that is made of tokens."""
    return np.delete(x, SURPRISE, axis=1) if x.ndim == 3 and x.shape[1] > SURPRISE else x
