"""Claims about two audits side by side."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import shipped
from documents import document
from typer.testing import CliRunner

import quantmis as qm
from quantmis import results
from quantmis.cli import app
from quantmis.compare import compared, notes
from quantmis.errors import UserError
from quantmis.stats import Estimate


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same audit with short and with long training."""
    home = tmp_path_factory.mktemp("compare")
    data = shipped.samples().take(np.arange(200))
    for name, epochs in (("short", 2), ("long", 60)):
        task = qm.Task(shipped.net, recipe=qm.Recipe(epochs=epochs, learning_rate=3e-3))
        qm.audit(task, data, quantizers=["sign"], attacks=["lira"], shadows=16, out=home / name, progress=False)
    return home / "short", home / "long"


@pytest.mark.slow
def test_longer_training_gives_away_more_and_the_difference_is_paired(audits: tuple[Path, Path]):
    found = {each.name: each for each in compared(*audits)}
    change = found["identity"].exposure[2]
    assert isinstance(change, Estimate)
    assert change.low > 0
    assert "paired" in change.method


@pytest.mark.slow
def test_an_audit_does_not_differ_from_itself(audits: tuple[Path, Path]):
    for each in compared(audits[0], audits[0]):
        assert each.exposure[2].value == 0
        assert each.utility[2].value == 0


@pytest.mark.slow
def test_without_tables_the_two_are_taken_for_independent(audits: tuple[Path, Path], tmp_path: Path):
    shutil.copy(audits[1] / "results.json", tmp_path / "results.json")
    found = compared(audits[0], tmp_path)[0].exposure[2]
    assert isinstance(found, Estimate)
    assert found.method == "of independent audits"
    assert found.high - found.low > 0


def test_audits_of_other_data_are_never_paired(audits: tuple[Path, Path], tmp_path: Path):
    document = results.read(audits[1])
    other = document.model_copy(update={"data": document.data.model_copy(update={"digest": "0" * 64})})
    shutil.copytree(audits[1] / "tables", tmp_path / "tables")
    results.write(other, tmp_path / "results.json")
    found = compared(audits[0], tmp_path)[0].exposure[2]
    assert isinstance(found, Estimate)
    assert found.method == "of independent audits"
    assert "different data" in notes(audits[0], tmp_path)[0]
    assert notes(*audits) == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A target as it is, and beside shadow models, with a version made elsewhere."""
    home, data = tmp_path_factory.mktemp("both"), shipped.samples()
    model = shipped.trained(data)
    given = qm.Target(model, shipped.MEMBERS, shipped.OTHERS, versions={"ours": model})
    for name, task, more in (
        ("alone", qm.Task(shipped.net), {}),
        (
            "beside",
            qm.Task(shipped.net, recipe=qm.Recipe(epochs=5)),
            {"shadows": 8, "attacks": ["loss_threshold", "lira"]},
        ),
    ):
        qm.audit(task, data, target=given, quantizers=["sign"], out=home / name, progress=False, **more)
    return home / "alone", home / "beside"


@pytest.mark.slow
def test_this_model_is_compared_with_this_model_and_the_procedure_with_nothing(both: tuple[Path, Path]):
    found = {(each.about, each.name): each for each in compared(*both)}
    assert list(found) == [("this model", name) for name in ("identity", "sign", "ours")]
    assert all(each.attack == "loss_threshold" for each in found.values())
    assert notes(*both) == ["only in B: identity (this training algorithm), sign (this training algorithm)"]


@pytest.mark.slow
def test_this_model_beside_shadow_models_is_compared_with_its_references(both: tuple[Path, Path]):
    found = {(each.about, each.name): each for each in compared(both[1], both[1])}
    assert len(found) == 5
    for (about, name), each in found.items():
        assert each.attack == ("loss_threshold" if name == "ours" else "lira")
        change = each.exposure[2]
        assert isinstance(change, Estimate)
        assert (change.value, "paired" in change.method) == (0, True), about


@pytest.mark.slow
def test_a_model_and_a_procedure_are_not_compared(both: tuple[Path, Path], audits: tuple[Path, Path]):
    with pytest.raises(UserError, match="no version in common") as refused:
        compared(both[0], audits[0])
    assert "A is about this model, B about this training algorithm" in str(refused.value.hint)


def test_audits_without_a_common_version_are_refused(audits: tuple[Path, Path], tmp_path: Path):
    text = document().model_dump_json().replace('"identity"', '"other"').replace('"sign"', '"another"')
    (tmp_path / "results.json").write_text(text)
    results.read(tmp_path)
    with pytest.raises(UserError, match="no version in common"):
        compared(audits[0], tmp_path)


def test_the_command_prints_both(audits: tuple[Path, Path]):
    printed = CliRunner().invoke(app, ["compare", *map(str, audits)], env={"COLUMNS": "200"}).output
    assert "AUC of lira" in printed
    assert "paired" in printed
