"""Likelihood-ratio attack, LiRA (Carlini, Chien, Nasr, Song, Terzis & Tramer 2022), for all targets at once.

For each sample the signals of the references that were trained on it are taken for normal, and so are those of the
references that were not; the score is the log-likelihood ratio of the target's signal. Offline, only the latter are
fitted, and the score is how far above them the target's signal lies.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.moments import VARIANCES, drawn_together, fit
from quantmis.attacks.reference_sets import blocks, reference_sets
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.registry import suggestion


@ATTACKS.add
@dataclass(frozen=True)
class LiRA(Attack):
    """Score by the likelihood ratio of the target's signal, trained on the sample against not.

    `online`: fit both distributions; offline fits only that of references not trained on the sample. `variance`:
    "per_example" fits each sample's own; "pooled" one for all samples; "shrunken", the default, weights the two by how
    much the samples' variances differ and how many references there are (see `quantmis.attacks.moments`), and does the
    same with how far members lie from non-members: safe with 2 references a side, and near "per_example" from about 32
    a side (64 models) on. Raises `UserError` for fewer
    than 2 references trained on each sample and 2 not, besides the target and its twin.

    >>> draw = np.random.default_rng(0)
    >>> half = draw.permuted(np.tile(np.arange(100) < 50, (8, 1)), axis=1)
    >>> member = np.stack([half, ~half], axis=1).reshape(16, 100)
    >>> losses = draw.normal(size=100) + 0.3 * draw.normal(size=(16, 100)) - member
    >>> scores = LiRA().score(Evidence(losses, member))
    >>> bool(scores[member].mean() > 2), bool(scores[~member].mean() < -2)
    (True, True)
    """

    online: bool = True
    variance: Literal["shrunken", "pooled", "per_example"] = "shrunken"

    name: ClassVar[str] = "lira"
    description: ClassVar[str] = (
        "LiRA, the likelihood-ratio attack: trains models with and without the record and asks which of the "
        "two the model under attack resembles."
    )
    uses_references: ClassVar[bool] = True

    def __post_init__(self):
        is_known = self.variance in VARIANCES
        require(is_known, f"lira: unknown variance {self.variance!r}", hint=suggestion(str(self.variance), VARIANCES))

    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the log-likelihood ratios, or offline the standardised signals."""
        against = reference_sets(target, reference)
        against.require(self.name, trained=2 if self.online else 0, untrained=2)
        outside = fit(target, against, trained=False, how=self.variance)
        if not self.online:
            return outside.standardised()
        inside = fit(target, against, trained=True, how=self.variance)
        if self.variance == "shrunken":
            inside, outside = drawn_together(inside, outside, against)
        scores = np.empty(target.losses.shape)
        for block in blocks(target.samples):
            scores[:, block] = inside.columns(block).log_density() - outside.columns(block).log_density()
        return scores
