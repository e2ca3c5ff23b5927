"""What the loss table of a version holds of secrets that it may give away."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

SECRETS = "secrets/"
"""What the names of arrays begin with that are about secrets."""


@dataclass(frozen=True, eq=False)
class SecretScores:
    """Hold what a version gives away of each secret.

    `is_written`: greedy decoding writes it after its prefix. `similarity`: the share of it that is right in the most
    similar part of what is written. `rank`: its own among it and its `alternatives` by their probability after the
    prefix, 1 the likeliest; ties share the mean of their ranks.
    """

    names: Shaped[np.ndarray, " secrets"]
    is_written: Bool[np.ndarray, " secrets"]
    similarity: Float[np.ndarray, " secrets"]
    rank: Float[np.ndarray, " secrets"]
    alternatives: Int[np.ndarray, " secrets"]

    @property
    def exposure_bits(self) -> Float[np.ndarray, " secrets"]:
        """log2 of the number of alternatives and itself, less log2 of the rank; 0 where there are none."""
        return np.log2(self.alternatives + 1) - np.log2(self.rank)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is saved of it, by name."""
        return {f"{SECRETS}{name}": value for name, value in vars(self).items()}


def secrets_in(arrays: Mapping[str, np.ndarray]) -> SecretScores | None:
    """Return what saved arrays hold of secrets, None where there were none.

    >>> secrets_in({"losses": np.zeros(1)}) is None
    True
    """
    own = {name.removeprefix(SECRETS): value for name, value in arrays.items() if name.startswith(SECRETS)}
    return SecretScores(**own) if own else None
