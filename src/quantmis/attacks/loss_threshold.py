"""Loss threshold (Yeom, Giacomelli, Fredrikson & Jha 2018): members have lower losses. Needs no references."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.evidence import Evidence


@ATTACKS.add
@dataclass(frozen=True)
class LossThreshold(Attack):
    """Score by the negated loss.

    >>> table = Evidence(np.array([[0.1, 2.0]]), np.array([[True, False]]))
    >>> LossThreshold().score(table).tolist()
    [[-0.1, -2.0]]
    """

    name: ClassVar[str] = "loss_threshold"
    description: ClassVar[str] = (
        "Loss threshold: a record on which the model errs little is taken for a member. Needs no other model."
    )
    uses_references: ClassVar[bool] = False

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the negated losses."""
        return -target.losses
