"""Paired replicates (this project): the signal of a model less that of its twin, trained on exactly the other samples.

Every sample is a member of one of the two, so its difficulty leaves the difference, and two models suffice. But it
knows what the twin was trained on: it *measures exposure* so that quantizers can be ranked, and is no attack in
the sense of membership inference security. It must never enter the upper bound on security.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.errors import require
from quantmis.evidence import NO_TWIN, Evidence


@ATTACKS.add
@dataclass(frozen=True)
class PairedReplicates(Attack):
    """Score by the signal of a model less the signal of its twin; `reference` is not used.

    Raises `UserError` where a model has no twin.

    >>> table = Evidence(np.array([[0.1, 2.0], [1.5, 0.5]]), np.array([[True, False], [False, True]]))
    >>> PairedReplicates().score(table).tolist()
    [[1.4, -1.5], [-1.4, 1.5]]
    """

    name: ClassVar[str] = "paired_replicates"
    uses_references: ClassVar[bool] = False
    bounds_security: ClassVar[bool] = False

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the differences between twins."""
        alone = np.flatnonzero(target.twin == NO_TWIN)
        require(
            len(alone) == 0,
            f"paired_replicates needs models in complementary pairs; {len(alone)} of {target.models} have no twin",
            hint="train a second model on exactly the samples that the first was not trained on",
        )
        return target.signals - target.signals[target.twin]
