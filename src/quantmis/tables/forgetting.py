"""What the loss table of a model that was made to forget holds besides losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

BESIDE = "forget/beside/"
"""What the names of arrays begin with that are the signals of another model, as `forget/beside/retrained`."""

BEFORE, RETRAINED = "before", "retrained"


@dataclass(frozen=True, eq=False)
class Forgetting:
    """Hold which samples were to be forgotten, and what other models and the next tokens say of them.

    `beside`: the membership signals of the model "before" it was made to forget, and of one "retrained" without the
    samples, each put through the same quantizer. Of texts, `by_heart` marks those that greedy decoding continues from
    their first half to their end, and `log_probability` is that of sampling just this end; NaN where a text was not
    asked for.
    """

    is_forget: Bool[np.ndarray, " samples"]
    beside: Mapping[str, Float[np.ndarray, " samples"]] = field(default_factory=dict[str, np.ndarray])
    by_heart: Bool[np.ndarray, " samples"] | None = None
    log_probability: Float[np.ndarray, " samples"] | None = None

    def arrays(self) -> dict[str, np.ndarray | None]:
        """Return what is saved of it, by name; None for what there is not."""
        return {
            "forget/is_forget": self.is_forget,
            "forget/by_heart": self.by_heart,
            "forget/log_probability": self.log_probability,
            **{f"{BESIDE}{name}": signals for name, signals in self.beside.items()},
        }


def forgetting_in(arrays: Mapping[str, np.ndarray]) -> Forgetting | None:
    """Return what saved arrays hold of it, None where nothing was to be forgotten.

    >>> forgetting_in(Forgetting(np.array([True, False])).arrays()).is_forget.tolist()
    [True, False]
    """
    if "forget/is_forget" not in arrays:
        return None
    beside = {name.removeprefix(BESIDE): each for name, each in arrays.items() if name.startswith(BESIDE)}
    return Forgetting(
        arrays["forget/is_forget"], beside, arrays.get("forget/by_heart"), arrays.get("forget/log_probability")
    )
