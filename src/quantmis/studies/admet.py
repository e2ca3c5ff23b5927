"""Molecular properties: seven tasks of TDC's ADMET group, four pretrained embedders and ECFP4, a head on each.

Shadow models are trained on halves of the official training set. The indicator and the utility are measured on the
official test set, molecules of other scaffolds that no model has seen; the utility is that of heads trained on all of
the training set, in the metric by which TDC ranks models.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantmis.data import Samples
from quantmis.data.admet import AdmetTask, read_task
from quantmis.data.molecules import ECFP, Features, Precomputed
from quantmis.data.molecules.features import require_finite
from quantmis.errors import require
from quantmis.models import Recipe, Task
from quantmis.models.heads import Head
from quantmis.models.losses import CrossEntropy, SquaredError
from quantmis.stats import Estimate
from quantmis.studies.predicting import Predicting
from quantmis.studies.problem import Problem
from quantmis.studies.utility import chance, utility

TASKS = (
    "hia_hou",
    "caco2_wang",
    "pgp_broccatelli",
    "ppbr_az",
    "bbb_martins",
    "lipophilicity_astrazeneca",
    "ames",
)
EMBEDDERS = (
    "gcn_contextpred",
    "graphsage_contextpred",
    "graphsage_supervised_contextpred",
    "molclr_gcn",
    "ecfp4",
)
FAST = (("hia_hou", "caco2_wang"), ("graphsage_supervised_contextpred", "ecfp4"))
EMBEDDINGS = "admet"
HIDDEN, DROPOUT = 128, 0.5
RECIPE = Recipe(epochs=15, batch_size=64, learning_rate=1e-3, optimizer="adamw", weight_decay=0.01)


@dataclass(frozen=True)
class Making:
    """Make the head of a task."""

    features: int
    outputs: int

    def __call__(self) -> Head:
        """Return a fresh head."""
        return Head(self.features, self.outputs, HIDDEN, DROPOUT)


def problems(data: Path, fast: bool = False) -> list[Problem]:
    """Return the problems of the study from the folder `data`, which holds `admet_group` and `admet/<task>.npz`.

    Raises `UserError` for a missing folder, and for embeddings that do not match the molecules.
    """
    tasks, embedders = FAST if fast else (TASKS, EMBEDDERS)
    return [each for name in tasks for each in _of(read_task(data, name), data, embedders)]


def _of(task: AdmetTask, data: Path, embedders: Iterable[str]) -> list[Problem]:
    return [problem(task, name, _features(name, task.name, data), data) for name in embedders]


def _features(embedder: str, task: str, data: Path) -> Features:
    if embedder == "ecfp4":
        return ECFP(diameter=4, bits=1024)
    file = data / EMBEDDINGS / f"{task}.npz"
    hint = f"arrays smiles and {', '.join(EMBEDDERS[:-1])}, a row per molecule"
    require(file.is_file(), f"{file} is missing: it holds the embeddings of the molecules of {task}", hint=hint)
    return Precomputed(f"{EMBEDDINGS}/{task}.npz", embedder)


def problem(task: AdmetTask, name: str, features: Features, data: Path) -> Problem:
    """Return the problem of predicting `task` from `features`, called `name`.

    Inputs and the targets of a regression are brought to mean 0 and deviation 1 over the training set.
    """
    computed = features.compute(task.molecules, data)
    require_finite(computed, task.molecules, f"{task.name}, {name}")
    x = _scaled(computed, ~task.test)[0]
    y, centre, spread = task.molecules.y, 0.0, 1.0
    if task.regression:
        scaled, centre, spread = _scaled(y[:, None].astype(np.float64), ~task.test)
        targets = scaled[:, 0]
    else:
        targets = y.astype(np.int64)
    loss = Predicting(SquaredError() if task.regression else CrossEntropy())
    make = Making(x.shape[1], 1 if task.regression else 2)
    return Problem(
        name=f"{task.name}, {name}",
        cluster=task.name,
        task=Task(make, loss, RECIPE, name=f"MLP {x.shape[1]}-{HIDDEN}-{make.outputs}"),
        samples=Samples(x, targets),
        trainable=~task.test,
        metric=task.metric,
        chance=chance(task.metric, y[~task.test], y[task.test]),
        utility_of=_utility_of(task, float(centre), float(spread)),
        kind="regression" if task.regression else "classification",
        facts={"task": task.name, "embedder": name, "duplicates": task.molecules.duplicates},
    )


@dataclass(frozen=True, eq=False)
class _Worth:
    metric: str
    y: np.ndarray
    centre: float
    spread: float

    def __call__(self, predicted: np.ndarray, level: float) -> Estimate:
        return utility(self.metric, self.y, predicted * self.spread + self.centre, level)


def _utility_of(task: AdmetTask, centre: float, spread: float) -> _Worth:
    return _Worth(task.metric, task.molecules.y[task.test].astype(np.float64), centre, spread)


def _scaled(table: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns of mean 0 and deviation 1 over the rows `trained`, their means and deviations.

    A column that is the same in all of them, such as a substructure that none has, says nothing and becomes 0.
    """
    centre, spread = table[trained].mean(0, dtype=np.float64), table[trained].std(0, dtype=np.float64)
    scaled = np.where(spread > 0, (table - centre) / np.where(spread > 0, spread, 1.0), 0.0)
    return scaled, np.squeeze(centre), np.squeeze(spread)
