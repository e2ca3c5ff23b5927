"""Claims about the ADMET group: what is read from TDC's layout, and what is refused before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from quantmis.data.admet import OFFICIAL, read_task, tasks
from quantmis.errors import UserError

ALCOHOLS = [f"{'C' * length}O" for length in range(1, 121)]


def write(folder: Path, task: str, train: list[tuple[str, object]], test: list[tuple[str, object]]) -> Path:
    home = folder / "admet_group" / task
    home.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train_val", train), ("test", test)):
        text = "".join(f"Drug {index},{smiles},{y}\n" for index, (smiles, y) in enumerate(rows))
        (home / f"{name}.csv").write_text(f"Drug_ID,Drug,Y\n{text}")
    return folder


def both(y: list[object]) -> tuple[list[tuple[str, object]], list[tuple[str, object]]]:
    rows = list(zip(ALCOHOLS, y, strict=True))
    return rows[:90], rows[90:]


def test_a_task_keeps_its_official_division_and_metric(tmp_path: Path):
    task = read_task(write(tmp_path, "hia_hou", *both([0, 1] * 60)), "hia_hou")
    assert (task.metric, task.regression) == ("auroc", False)
    assert task.test.tolist() == [False] * 90 + [True] * 30
    assert task.molecules.y.tolist() == [0, 1] * 60


def test_a_molecule_of_both_files_is_no_test_of_what_was_trained_on_it(tmp_path: Path):
    train, test = both([0, 1] * 60)
    task = read_task(write(tmp_path, "hia_hou", train, [("OCC", 1), *test]), "hia_hou")
    assert task.test.sum() == 30
    assert task.molecules.duplicates == 1
    assert not task.test[task.molecules.smiles.index("CCO")]


def test_the_folder_may_be_the_group_itself(tmp_path: Path):
    write(tmp_path, "caco2_wang", *both(list(np.linspace(-6, -4, 120))))
    assert tasks(tmp_path) == tasks(tmp_path / "admet_group") == ["caco2_wang"]
    task = read_task(tmp_path / "admet_group", "caco2_wang")
    assert (task.metric, task.regression) == ("mae", True)


def test_the_group_has_22_tasks_and_four_metrics():
    assert len(OFFICIAL) == 22
    assert set(OFFICIAL.values()) == {"auroc", "auprc", "mae", "spearman"}


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("hia_hou", [1] * 120, "every molecule has the same target"),
        ("hia_hou", [0, 1] * 45 + [1] * 30, r"expected both classes, 0 and 1, in test\.csv, got 1$"),
        ("hia_hou", [1] * 90 + [0, 1] * 15, r"expected both classes, 0 and 1, in train_val\.csv, got 1$"),
        ("hia_hou", [0, 2] * 60, "expected both classes, 0 and 1, in .*, got 0, 2$"),
        ("caco2_wang", [*range(119), ""], r"caco2_wang: 1 targets are NaN or infinite: test\.csv row 29"),
        ("caco2_wang", [*range(119), "nan"], "1 targets are NaN"),
        ("caco2_wang", [*range(119), "low"], r"the targets in test\.csv are no numbers"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(tmp_path: Path, task: str, y: list[object], message: str):
    with pytest.raises(UserError, match=message):
        read_task(write(tmp_path, task, *both(y)), task)


def test_invalid_smiles_and_too_few_molecules_are_refused(tmp_path: Path):
    train, test = both([0, 1] * 60)
    with pytest.raises(UserError, match=r"hia_hou: 1 of 121 SMILES are no molecules: train_val\.csv row 0 'C1CC'"):
        read_task(write(tmp_path, "hia_hou", [("C1CC", 1), *train], test), "hia_hou")
    with pytest.raises(UserError, match=r"hia_hou: 1 of 121 SMILES are no molecules: test\.csv row 1 'C1CC'"):
        read_task(write(tmp_path, "hia_hou", train, [test[0], ("C1CC", 1), *test[1:]]), "hia_hou")
    with pytest.raises(UserError, match="hia_hou: expected at least 100 distinct molecules, got 99 molecules"):
        read_task(write(tmp_path, "hia_hou", train, test[:9]), "hia_hou")
    with pytest.raises(UserError, match="holds no molecule of its own"):
        read_task(write(tmp_path, "hia_hou", [*train, *test], test), "hia_hou")


def test_a_missing_folder_says_where_tdc_publishes_it(tmp_path: Path):
    (tmp_path / "hia_hou").mkdir()
    for folder, name in ((tmp_path / "none", "hia_hou"), (tmp_path, "hia_hou"), (tmp_path, "ames")):
        with pytest.raises(UserError) as refused:
            read_task(folder, name)
        assert "https://tdcommons.ai" in (refused.value.hint or "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no task"):
        tasks(tmp_path / "empty")
    with pytest.raises(UserError, match="unknown ADMET task 'hia'"):
        read_task(tmp_path, "hia")
