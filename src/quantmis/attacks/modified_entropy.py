"""Modified entropy (Song & Mittal 2021): members are predicted with more confidence in the right class.

Not to be confused with the entropy of the prediction, which is as low for a confident mistake as for a confident hit.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.errors import UserError
from quantmis.evidence import Evidence


@ATTACKS.add
@dataclass(frozen=True)
class ModifiedEntropy(Attack):
    """Score by the negated modified entropy; `UserError` where the task has none (regression, multi-label).

    >>> table = Evidence(np.array([[0.1, 2.0]]), np.array([[True, False]]), entropy=np.array([[0.2, 1.0]]))
    >>> ModifiedEntropy().score(table).tolist()
    [[-0.2, -1.0]]
    """

    name: ClassVar[str] = "modified_entropy"
    description: ClassVar[str] = (
        "Modified entropy: as loss threshold, but it looks at the whole prediction, not only at the right answer."
    )
    uses_references: ClassVar[bool] = False

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the negated modified entropies."""
        if target.entropy is None:
            raise UserError(
                "modified_entropy needs the modified entropies of the predictions, and the table has none",
                hint="only multi-class tasks have them; use loss_threshold, or give Evidence(..., entropy=)",
            )
        return -target.entropy
