"""Claims about MLflow, against a store of its own: an SQLite database and a folder of artefacts."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audited_models import given
from documents import document, many
from hostile_documents import hostile

import quantmis as qm
from quantmis import tracking
from quantmis.errors import UserError
from quantmis.measures.auc import AUC
from quantmis.results import AttackMetrics
from quantmis.stats import Estimate

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow and what it stands on
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # SQLite connections that MLflow leaves to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give MLflow a store of its own."""
    import mlflow

    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("audits", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("audits")
    yield mlflow
    mlflow.set_tracking_uri(before)


@pytest.mark.slow
def test_every_number_arrives_with_its_interval(mlflow: Any):
    run = mlflow.get_run(qm.log_to_mlflow(qm.AuditResult(document())))
    outcome = document().version("ternary(sparsity=0.9)").attacks["lira"].adaptive
    assert isinstance(outcome, AttackMetrics)
    found = outcome[AUC]
    assert isinstance(found, Estimate)
    name = "training_algorithm/ternary_sparsity_0.9/lira.adaptive.auc"
    arrived = [run.data.metrics[name + end] for end in ("", "_low", "_high")]
    assert arrived == [found.value, found.low, found.high]
    assert run.data.metrics == tracking.metrics(document())
    assert run.data.params["recipe.epochs"] == "40"
    assert run.data.tags["quantmis.version.ternary_sparsity_0.9"] == "ternary(sparsity=0.9)"
    assert run.info.status == "FINISHED"


@pytest.mark.slow
def test_the_report_and_the_results_are_artefacts(mlflow: Any, tmp_path: Path):
    run = qm.log_to_mlflow(qm.AuditResult(document()))
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="quantmis", dst_path=str(tmp_path)))
    assert qm.AuditResult.from_json(folder / "results.json").document == document()
    assert "Privacy audit" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_an_audit_joins_the_run_that_is_active(mlflow: Any):
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.3)
        assert qm.log_to_mlflow(qm.AuditResult(document())) == run.info.run_id
        assert mlflow.active_run() is not None
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert metrics["loss"] == 0.3
    assert "training_algorithm/sign/attack_accuracy" in metrics


@pytest.mark.slow
def test_hostile_names_and_many_versions_are_taken(mlflow: Any):
    for results in (hostile(), many()):
        run = mlflow.get_run(qm.log_to_mlflow(qm.AuditResult(results)))
        assert len(run.data.metrics) == len(tracking.metrics(results)) > 100


def test_this_model_and_the_training_algorithm_have_names_of_their_own():
    names = {re.sub("/.*", "", name) for name in tracking.metrics(given())}
    assert names == {"this_model", "training_algorithm"}


def test_what_was_not_measured_is_no_metric():
    assert not [name for name in tracking.metrics(document()) if name.startswith("training_algorithm/sign/security/")]
    assert "training_algorithm/sign/security" not in tracking.metrics(document())


def test_without_mlflow_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match="not installed") as raised:
        qm.log_to_mlflow(qm.AuditResult(document()))
    assert "quantmis[mlflow]" in str(raised.value.hint)


@pytest.mark.slow
def test_another_audit_in_the_same_run_is_refused_before_anything_is_written(mlflow: Any):
    other = document({"identity": 1.0, "sign": 0.2})
    asked = other.config.model_copy(update={"seed": 7})
    data = other.data.model_copy(update={"digest": "ab" * 32})
    with mlflow.start_run() as run:
        qm.log_to_mlflow(qm.AuditResult(document()))
        before = mlflow.get_run(run.info.run_id).data.metrics
        for each in (other.model_copy(update={"config": asked}), other.model_copy(update={"data": data})):
            with pytest.raises(UserError, match="the run has another") as refused:
                qm.log_to_mlflow(qm.AuditResult(each))
            assert "a run of its own" in str(refused.value.hint)
        assert mlflow.get_run(run.info.run_id).data.metrics == before
        qm.log_to_mlflow(qm.AuditResult(document()))  # the same audit again is no other one


def test_versions_that_were_given_have_their_names_as_tags():
    named = {name: value for name, value in tracking.tags(given()).items() if name.startswith("quantmis.this_model.")}
    assert named == {"quantmis.this_model.identity": "identity", "quantmis.this_model.sign": "sign"}
