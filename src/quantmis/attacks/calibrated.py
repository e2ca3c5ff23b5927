"""Difficulty calibration (Watson, Guo, Cormode & Sablayrolles 2022): how much lower the loss is than a stranger's.

A sample that every model finds easy has a low loss whether it was a member or not. So the loss is compared with the
mean loss of the references that were not trained on the sample.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.reference_sets import reference_sets
from quantmis.evidence import Evidence


@ATTACKS.add
@dataclass(frozen=True)
class Calibrated(Attack):
    """Score by the mean loss of references not trained on the sample, less the target's loss.

    Raises `UserError` where a sample has no reference that was not trained on it, besides the target and its twin.

    >>> losses = np.array([[0.1, 2.0], [0.4, 1.0]])
    >>> reference = Evidence(np.array([[0.5, 2.5]]), np.zeros((1, 2), bool))
    >>> target = Evidence(losses, np.array([[True, False], [False, True]]))
    >>> Calibrated().score(target, reference).round(9).tolist()
    [[0.4, 0.5], [0.1, 1.5]]
    """

    name: ClassVar[str] = "calibrated"
    description: ClassVar[str] = (
        "Difficulty calibration: the loss is compared with that of models that never saw the record, so that "
        "easy records are not taken for members."
    )
    uses_references: ClassVar[bool] = True

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the calibrated negated losses."""
        against = reference_sets(target, reference)
        against.require(self.name, untrained=1)
        strangers, losses = ~against.models.member, against.models.losses.astype(float)
        usual = against.sums(np.where(strangers, losses, 0.0)) / against.untrained
        return usual[against.of] - target.losses
