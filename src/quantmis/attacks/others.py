"""The references held against each target, and sums over them for all targets at once.

Leaving a target and its kin out of its own references (see `quantmis.attacks.base`) would take a loop over targets.
Here references of one kin (equal or complementary memberships) are added up first; what is left for a target is the
sum over the kin before its own and that over the kin after it: O(models x samples) in all, and without the
subtraction of nearly equal numbers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.stats.cluster import kin

BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Others:
    """Hold which references stand against which target.

    `models` is the table of references; `order` sorts its rows by kin and `starts` says where each kin begins. A set
    of references holds the kins before number `lacking` and those from number `resuming` on. `of` is for each target
    row the number of its set.
    """

    models: Evidence
    order: Int[np.ndarray, " references"]
    starts: Int[np.ndarray, " kins"]
    lacking: Int[np.ndarray, " sets"]
    resuming: Int[np.ndarray, " sets"]
    of: Int[np.ndarray, " targets"]

    def sums(
        self, terms: Shaped[np.ndarray, "references samples"], add: np.ufunc = np.add
    ) -> Float[np.ndarray, "sets samples"]:
        """Add up (with `add`) the terms of each set of references; `self.of` maps target rows to sets."""
        found = np.empty((len(self.lacking), terms.shape[1]))
        for start in range(0, terms.shape[1], BLOCK):  # blocks of columns stay in the cache
            found[:, start : start + BLOCK] = self._block(terms[:, start : start + BLOCK], add)
        return found

    def counts(self, among: Bool[np.ndarray, "references samples"]) -> Float[np.ndarray, "sets samples"]:
        """Count the references of each set that are `among` the given ones, at each sample."""
        return self.sums(among)

    def _block(
        self, terms: Shaped[np.ndarray, "references samples"], add: np.ufunc
    ) -> Float[np.ndarray, "sets samples"]:
        kins = add.reduceat(terms[self.order].astype(float), self.starts, axis=0)
        none = np.full((1, kins.shape[1]), add.identity, dtype=float)
        before = np.concatenate([none, add.accumulate(kins, axis=0)])
        after = np.concatenate([add.accumulate(kins[::-1], axis=0)[::-1], none])
        return add(before[self.lacking], after[self.resuming])

    def require(self, attack: str, trained: int = 0, untrained: int = 0) -> None:
        """Raise `UserError` unless every sample has that many references trained on it, and not trained on it."""
        for word, needed, member in (("", trained, self.models.member), (" not", untrained, ~self.models.member)):
            fewest = int(self.counts(member).min()) if needed else 0
            require(
                fewest >= needed,
                f"{attack} needs at least {needed} reference models that were{word} trained on each sample, besides "
                f"the target and its twin; some sample has {fewest}",
                hint=f"train at least {2 * max(trained, untrained) + 2} models in complementary pairs, "
                "or use an attack without references such as loss_threshold",
            )


def others(target: Evidence, reference: Evidence | None) -> Others:
    """Return the references against each row of `target`: the rows of `reference`, or its own where that is None."""
    models = target if reference is None else reference
    together = kin(np.concatenate([models.member, target.member]))
    kins, of_target = together[: models.models], together[models.models :]
    order = np.argsort(kins, kind="stable")
    starts = np.flatnonzero(np.diff(kins[order], prepend=-1))
    lacking, of = np.unique(np.minimum(of_target, len(starts)), return_inverse=True)
    return Others(models, order, starts, lacking, np.minimum(lacking + 1, len(starts)), of)
