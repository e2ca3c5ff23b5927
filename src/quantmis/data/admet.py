"""The ADMET group of the Therapeutics Data Commons (Huang et al. 2021), read from the folder that TDC itself writes.

Absorption, distribution, metabolism, excretion, toxicity: what becomes of a drug in the body. Each task is a folder
`admet_group/<task>` of two files, `train_val.csv` and `test.csv`, with columns `Drug` (SMILES) and `Y`; the division
and the metric by which models are compared are official. Some tasks hold a molecule several times; copies are removed
before anything is divided, and where both files hold one, the copy of the test file goes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool

from quantmis.data.encode import require_columns
from quantmis.data.molecules import Molecules, clean
from quantmis.data.molecules.smiles import counted
from quantmis.data.table import read_csv
from quantmis.errors import UserError, require
from quantmis.registry import suggestion

Metric = Literal["auroc", "auprc", "mae", "spearman"]

GROUP = "admet_group"
PUBLISHED = "https://tdcommons.ai/benchmark/admet_group/overview/"
OFFICIAL: dict[str, Metric] = {
    "ames": "auroc",
    "bbb_martins": "auroc",
    "bioavailability_ma": "auroc",
    "caco2_wang": "mae",
    "clearance_hepatocyte_az": "spearman",
    "clearance_microsome_az": "spearman",
    "cyp2c9_substrate_carbonmangels": "auprc",
    "cyp2c9_veith": "auprc",
    "cyp2d6_substrate_carbonmangels": "auprc",
    "cyp2d6_veith": "auprc",
    "cyp3a4_substrate_carbonmangels": "auroc",
    "cyp3a4_veith": "auprc",
    "dili": "auroc",
    "half_life_obach": "spearman",
    "herg": "auroc",
    "hia_hou": "auroc",
    "ld50_zhu": "mae",
    "lipophilicity_astrazeneca": "mae",
    "pgp_broccatelli": "auroc",
    "ppbr_az": "mae",
    "solubility_aqsoldb": "mae",
    "vdss_lombardo": "spearman",
}
"""The official metric of every task of the group."""


@dataclass(frozen=True, eq=False)
class AdmetTask:
    """Hold a task: its molecules, which of them are the official test set, and the metric that judges models of it."""

    name: str
    metric: Metric
    molecules: Molecules
    test: Bool[np.ndarray, " molecules"]

    @property
    def regression(self) -> bool:
        """Whether targets are measurements; otherwise they are 0 and 1."""
        return self.metric in ("mae", "spearman")


def tasks(folder: Path) -> list[str]:
    """Return the tasks that `folder` or its `admet_group` holds, in alphabetical order; `UserError` for none."""
    home = _home(folder)
    names = sorted(each.name for each in home.iterdir() if each.name in OFFICIAL and each.is_dir())
    require(names, f"{home} holds no task of the ADMET group", hint=_where())
    return names


def read_task(folder: Path, name: str) -> AdmetTask:
    """Return the task `name` of the group below `folder`.

    Raises `UserError` for an unknown task, missing files, invalid SMILES, targets that are missing or, for a
    classification, other than 0 and 1, a single class on either side, and fewer than 100 molecules.
    """
    require(name in OFFICIAL, f"unknown ADMET task {name!r}", hint=suggestion(name, OFFICIAL))
    home = _home(folder) / name
    (train, y_train), (test, y_test) = (_part(home / f"{part}.csv") for part in ("train_val", "test"))

    def called(row: int) -> str:
        return f"train_val.csv {counted(row)}" if row < len(train) else f"test.csv {counted(row - len(train))}"

    try:
        molecules = clean([*train, *test], np.concatenate([y_train, y_test]), called=called)
    except UserError as error:
        raise UserError(f"{name}: {error}", hint=error.hint) from error
    task = AdmetTask(name, OFFICIAL[name], molecules, molecules.rows >= len(train))
    _require_both_sides(task)
    return task


def _part(file: Path) -> tuple[list[str], np.ndarray]:
    require(file.is_file(), f"{file} is missing", hint=_where())
    columns = read_csv(file, file.parent.name)
    require_columns(columns, ("Drug", "Y"), file.name)
    good = columns["Y"].dtype.kind == "f"
    require(good, f"{file.parent.name}: the targets in {file.name} are no numbers, the first {columns['Y'][:1]}")
    return columns["Drug"].astype(str).tolist(), columns["Y"]


def _require_both_sides(task: AdmetTask) -> None:
    for side, mask in (("test", task.test), ("train_val", ~task.test)):
        y = task.molecules.y[mask]
        require(len(y), f"{task.name}: {side}.csv holds no molecule of its own")
        good = task.regression or np.array_equal(np.unique(y), [0, 1])
        kinds = ", ".join(f"{each:g}" for each in np.unique(y)[:5])
        require(good, f"{task.name}: expected both classes, 0 and 1, in {side}.csv, got {kinds}")


def _home(folder: Path) -> Path:
    home = folder / GROUP if (folder / GROUP).is_dir() else folder
    require(home.is_dir(), f"the folder {folder} is missing", hint=_where())
    return home


def _where() -> str:
    return f"TDC publishes the group at {PUBLISHED}; unpack it so that {GROUP}/<task>/train_val.csv and test.csv exist"
