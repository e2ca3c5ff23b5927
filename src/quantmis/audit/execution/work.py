"""The unit of an audit: train one group of models, put each through every quantizer, keep its rows of the tables.

A group is a pure function of the work and its place in it, so it can be computed anywhere, in any order, twice, or
not at all where the store already holds it. It has two levels: weights, which training left, and the rows of each
version, which are computed from them; so another quantizer trains nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int
from torch import Tensor

from quantmis import seeds
from quantmis.data.membership import half_of, members_each
from quantmis.data.samples import Samples
from quantmis.models import Task
from quantmis.models.engine import Engine
from quantmis.models.training import Training
from quantmis.quantizers import Quantizer
from quantmis.quantizers.base import needs_supervision
from quantmis.tables.traits import VersionTraits

CALIBRATION = 256
"""Samples that quantizers which look at data are given."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Hold what training changed in the models of a group: tensors by name.

    "3/0.weight" belongs to model 3 of the audit as it ended, "40:3/0.weight" to the same model after step 40.
    `outside` holds the digests of what was read beside the arguments: see `quantmis.audit.execution.outside`.
    """

    tensors: dict[str, Tensor]
    outside: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(each.nbytes for each in self.tensors.values())


@dataclass(frozen=True, eq=False)
class Rows:
    """Hold the rows of a group of models under one quantizer: arrays by name, and the traits of each model.

    `arrays["losses"]` [models, samples]; "earlier" [models * checkpoints, held out] holds the losses of checkpoints, a
    model's in one piece. `outside`: as of `Weights`.
    """

    arrays: dict[str, np.ndarray]
    traits: list[VersionTraits]
    outside: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, eq=False)
class Group:
    """Hold the rows of a group of models by the number of the quantizer, and weights if they were trained and are kept.

    `is_whole`: whether the weights alone are the models; where they are not, they are not kept.
    """

    versions: dict[int, Rows]
    weights: Weights | None = None
    is_whole: bool = True


@dataclass(frozen=True, eq=False)
class Job:
    """Say what is to be computed of a group: the rows under these quantizers, from `weights` or by training first."""

    rows: range
    quantizers: tuple[int, ...]
    weights: Weights | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """Say what an audit computes: rows for each model of `member` [models, samples] and each quantizer.

    `checkpoints`: optimiser steps at which replicates (the first `replicates` models) also yield candidates for the
    indicator. `keep_weights`: "all", "adapters" or "none", of which models weights are kept. `canaries`: how many
    samples, the last, are canaries, and `repeats` [samples] how often each stands in the training sets that it is in.
    `calibrate_on`: "held_out" or "members", what quantizers that look at data are shown. `scope` is the hash of the
    functions that train, `outside` what they read while they were tried, as digests. `together` [samples]: which
    samples are one group, or copies of one sample.
    """

    task: Task
    samples: Samples
    member: Bool[np.ndarray, "models samples"]
    quantizers: tuple[Quantizer, ...]
    seed: int
    engine: Engine
    checkpoints: tuple[int, ...] = ()
    replicates: int = 0
    keep_weights: str = "none"
    canaries: int = 0
    calibrate_on: str = "held_out"
    repeats: Int[np.ndarray, " samples"] | None = None
    scope: str = ""
    outside: Mapping[str, str] = field(default_factory=dict[str, str])
    together: Int[np.ndarray, " samples"] | None = None

    @property
    def steps(self) -> int:
        """The optimiser steps of one model."""
        return self.training(range(1)).steps

    @property
    def expected(self) -> float | None:
        """About how many seconds the trainings will take, by the timings that the engine was chosen by, if any."""
        step = self.engine.seconds.get(self.engine.kind)
        return None if step is None else step * self.steps * len(self.member)

    def training(self, rows: range) -> Training:
        """Return the training of the models of a group."""
        return Training(
            self.task,
            self.samples,
            self.member[rows.start : rows.stop],
            rows,
            self.seed,
            self.engine.kind,
            self.checkpoints,
            self.repeats,
            members_each(self.member, self.repeats),
        )

    @property
    def planted(self) -> Int[np.ndarray, " canaries"]:
        """The columns of the canaries that models are trained on."""
        columns = np.arange(len(self.samples) - self.canaries, len(self.samples))
        return columns[np.any(self.member[:, columns], axis=0)]

    @property
    def is_held_out(self) -> Bool[np.ndarray, " samples"]:
        """The samples that no model is trained on and no version fitted to: not those that are like the canaries."""
        return self._is_never_trained_on & ~self.is_fitted

    @property
    def is_fitted(self) -> Bool[np.ndarray, " samples"]:
        """The samples that versions are fitted to: half of those that no model is trained on, where any version is."""
        if not any(map(needs_supervision, self.quantizers)):
            return np.zeros(len(self.samples), dtype=bool)
        return fitting_rows(self._is_never_trained_on, self.seed, self.together)

    @property
    def _is_never_trained_on(self) -> Bool[np.ndarray, " samples"]:
        is_canary = np.arange(len(self.samples)) >= len(self.samples) - self.canaries
        return ~np.any(self.member, axis=0) & ~is_canary

    def job(self, rows: range) -> Job:
        """Return what is to be computed of a group of which nothing is known yet."""
        return Job(rows, tuple(range(len(self.quantizers))))

    @property
    def keeps_weights(self) -> bool:
        """Whether weights are kept, as asked for: of all models, of those with adapters, or of none."""
        return self.keep_weights == "all" or (self.keep_weights == "adapters" and self.task.has_adapters)

    def groups(self) -> list[range]:
        """Return the rows of each group."""
        size, models = self.engine.group, len(self.member)
        return [range(start, min(start + size, models)) for start in range(0, models, size)]


def fitting_rows(
    is_free: Bool[np.ndarray, " samples"], seed: int, together: Int[np.ndarray, " samples"] | None
) -> Bool[np.ndarray, " samples"]:
    """Return the samples that versions are fitted to: half of those that are free, groups in one half `together`."""
    return half_of(is_free, seeds.generator(seed, "fitted"), together)
