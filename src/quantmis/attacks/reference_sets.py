"""The references held against each target, and sums over them for all targets at once.

Leaving a target and its kin out of its own references (see `quantmis.attacks.base`) would take a loop over targets.
Here references of one kin (equal or complementary memberships) are added up first; what is left for a target is the
sum over the kin before its own and that over the kin after it: O(models x samples) in all, and without the
subtraction of nearly equal numbers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Shaped

from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.stats.cluster import pair_id

BLOCK = 4096


@dataclass(frozen=True, eq=False)
class ReferenceSets:
    """Hold which references stand against which target.

    `models` is the table of references and `pair_id` numbers the kin of its rows. A set of references holds the kins
    before number `lacking` and those from number `resuming` on. `of` is for each target row the number of its set.
    """

    models: Evidence
    pair_id: Int[np.ndarray, " references"]
    lacking: Int[np.ndarray, " sets"]
    resuming: Int[np.ndarray, " sets"]
    of: Int[np.ndarray, " targets"]

    def sums(
        self, terms: Shaped[np.ndarray, "references samples"], add: np.ufunc = np.add
    ) -> Float[np.ndarray, "sets samples"]:
        """Add up (with `add`) the terms of each set of references; `self.of` maps target rows to sets."""
        kins = np.full((self.pair_id.max() + 1, terms.shape[1]), add.identity, dtype=float)
        for number, row in zip(self.pair_id, terms, strict=True):
            add(kins[number], row, out=kins[number])
        before, after = _running(kins, add), _running(kins[::-1], add)[::-1]
        return add(before[self.lacking], after[self.resuming])

    @cached_property
    def size(self) -> Int[np.ndarray, "sets 1"]:
        """The number of references in each set."""
        kins = np.append(np.bincount(self.pair_id), 0)
        return (kins.sum() - kins[self.lacking])[:, None]

    @cached_property
    def trained(self) -> Float[np.ndarray, "sets samples"]:
        """The number of references in each set that were trained on each sample."""
        parts = [self.sums(self.models.member[:, block]) for block in blocks(self.models.samples)]
        return np.concatenate(parts, axis=1)

    @property
    def untrained(self) -> Float[np.ndarray, "sets samples"]:
        """The number of references in each set that were not trained on each sample."""
        return self.size - self.trained

    def require(self, attack: str, trained: int = 0, untrained: int = 0) -> None:
        """Raise `UserError` unless every sample has that many references trained on it, and not trained on it."""
        sides = (
            ("", trained, self.trained.min()),
            (" not", untrained, (self.size - self.trained.max(1, keepdims=True)).min()),
        )
        for word, needed, fewest in sides:
            require(
                fewest >= needed,
                f"{attack} needs at least {needed} reference models that were{word} trained on each sample, besides "
                f"the target and its twin; some sample has {int(fewest)}",
                hint=f"train at least {2 * max(trained, untrained) + 2} models in complementary pairs, "
                "or use an attack without references such as loss_threshold",
            )


def reference_sets(target: Evidence, reference: Evidence | None) -> ReferenceSets:
    """Return the references against each row of `target`: the rows of `reference`, or its own where that is None."""
    models = target if reference is None else reference
    together = pair_id(np.concatenate([models.member, target.member]))
    kins, of_target = together[: models.models], together[models.models :]
    number = int(kins.max()) + 1
    lacking, of = np.unique(np.minimum(of_target, number), return_inverse=True)
    return ReferenceSets(models, kins, lacking, np.minimum(lacking + 1, number), of)


def blocks(samples: int) -> list[slice]:
    """Divide the samples into blocks whose tables stay in the processor's cache."""
    return [slice(start, start + BLOCK) for start in range(0, samples, BLOCK)]


def _running(terms: Float[np.ndarray, "kins samples"], add: np.ufunc) -> Float[np.ndarray, "sums samples"]:
    """Return the sums of the first 0, 1, 2, ... rows; row by row this is far faster than `add.accumulate`."""
    sums = np.empty((len(terms) + 1, terms.shape[1]))
    sums[0] = add.identity
    for number, row in enumerate(terms):
        add(sums[number], row, out=sums[number + 1])
    return sums
