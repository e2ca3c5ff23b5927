"""Attacks on language models by a signal that was read off each text's token probabilities, beside its mean loss.

The signals stand in the loss table by the name of their attack (`Evidence.named`), higher for members. Each attack
needs the target alone.
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import Attack
from quantmis.errors import require
from quantmis.evidence import Evidence


class TextSignal(Attack):
    """Score by the signal of the attack's own name; `needs` says what texts or models have it."""

    uses_references: ClassVar[bool] = False
    needs: ClassVar[str] = "texts audited as causal-lm"

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the signal; `UserError` where the table has none."""
        names = ", ".join(target.named) or "none"
        hint = f'it is for language models, kind = "causal-lm"; this table has further signals: {names}'
        require(self.name in target.named, f"{self.name} needs {self.needs}", hint=hint)
        return target.named[self.name]
