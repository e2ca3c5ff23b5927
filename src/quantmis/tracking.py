"""An audit as a run of MLflow: every number with its interval as metrics, the report and results.json as artefacts.

A metric is called `about/version/measure`, such as `training_algorithm/sign/attack_accuracy`, with `_low` and `_high`
for its interval: the names of the CSV file, which MLflow's charts group by their slashes. MLflow refuses some of the
characters that versions are written with, so `uniform(bits=4)` becomes `uniform_bits_4`, and a tag says what that
stands for.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantmis.documents.measures import numbers, of_release
from quantmis.documents.source import audited
from quantmis.errors import UserError
from quantmis.measures import Number
from quantmis.results import THIS_MODEL, Results, ResultSubject, TargetResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

if TYPE_CHECKING:
    from quantmis.audit.result import AuditResult

FOLDER, DATA = "quantmis", "quantmis.data"
LONGEST_NAME, LONGEST_PARAMETER = 60, 500
BATCH = 500


def log_to_mlflow(result: "AuditResult") -> str:
    """Log an audit to MLflow and return the id of the run: the active one, or else a new one.

    Numbers that were not measured are no metrics; the report says why. `UserError` where MLflow is not installed.
    """
    mlflow = _mlflow()
    active = mlflow.active_run()
    if active is None:
        with mlflow.start_run(run_name=f"privacy audit of {result.document.config.model}"[:LONGEST_PARAMETER]) as run:
            _log(mlflow, run.info.run_id, result)
        return run.info.run_id
    _log(mlflow, active.info.run_id, result)
    return active.info.run_id


def _log(mlflow: Any, run: str, result: "AuditResult") -> None:
    document = result.document
    _require_same(mlflow.get_run(run).data, document)
    for batch in _batches(metrics(document), BATCH):
        mlflow.log_metrics(batch, run_id=run)
    mlflow.log_params(parameters(document))
    mlflow.set_tags(tags(document))
    with tempfile.TemporaryDirectory() as folder:
        result.to_json(Path(folder) / "results.json")
        result.to_html(Path(folder) / "report.html")
        mlflow.log_artifacts(folder, artifact_path=FOLDER, run_id=run)


def _require_same(logged: Any, results: Results) -> None:
    """Refuse a run that holds another audit, before anything is written to it: MLflow keeps the first parameters."""
    theirs, mine = {**logged.tags, **logged.params}, {DATA: results.data.digest, **parameters(results)}
    for name, value in mine.items():
        if theirs.get(name, str(value)) != str(value):
            message = f"the run has another {name} already: {theirs[name]}, and that of this audit is {value}"
            raise UserError(message, hint="log each audit to a run of its own: with mlflow.start_run(): ...")


def metrics(results: Results) -> dict[str, float]:
    """Return every number of an audit with the ends of its interval, by the name that MLflow knows it by."""
    return {
        f"{_about(subject)}/{slug}/{name}{end}": value
        for subject in audited(results)
        for record, slug in zip(subject.versions, slugs([each.name for each in subject.versions]), strict=True)
        for name, number in _numbers(record).items()
        for end, value in _ends(number).items()
    } | {
        f"{_about(subject)}/released_together_{number}/{slugs([name])[0]}{end}": value
        for subject in audited(results)
        for number, release in enumerate(subject.releases, 1)
        for name, quantity in of_release(release).items()
        for end, value in _ends(quantity).items()
    }


def _about(subject: ResultSubject) -> str:
    return "this_model" if subject.about == THIS_MODEL else "training_algorithm"


def _numbers(record: VersionResult) -> dict[str, Number]:
    attacks = dict(zip(slugs(list(record.attacks)), record.attacks.values(), strict=True))
    return numbers(record.model_copy(update={"attacks": attacks}))


def _ends(number: Number) -> dict[str, float]:
    if isinstance(number, Estimate):
        return {"": number.value, "_low": number.low, "_high": number.high}
    return {} if isinstance(number, Unmeasured) else {"": float(number)}


def slugs(names: list[str]) -> list[str]:
    """Return names that MLflow takes, a different one for each name.

    >>> slugs(["uniform(bits=4)", "uniform[bits 4]", "sign"])
    ['uniform_bits_4', 'uniform_bits_4_2', 'sign']
    """
    unique: dict[str, None] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_.")[:LONGEST_NAME] or "version"
        numbered = (plain, *(f"{plain}_{number}" for number in range(2, len(names) + 2)))
        unique[next(each for each in numbered if each not in unique)] = None
    return list(unique)


def parameters(results: Results) -> dict[str, str | float | int]:
    """Return what was asked for."""
    config = results.config
    choices = {"model": config.model, "loss": config.loss, "depth": config.depth, "seed": config.seed}
    counted = {"shadows": config.shadows, "replicates": config.replicates, "level": config.level}
    recipe = {f"recipe.{slug}": config.recipe[name] for name, slug in _slugged(list(config.recipe)).items()}
    values = {**choices, **counted, **recipe}
    return {name: value[:LONGEST_PARAMETER] if isinstance(value, str) else value for name, value in values.items()}


def tags(results: Results) -> dict[str, str]:
    """Return what the names of versions stand for, the digest of the data, and the codes of the findings."""
    spelled = {
        f"quantmis.version.{slug}": name
        for name, slug in _slugged([record.name for record in results.versions]).items()
    }
    versions = results.target.versions if isinstance(results.target, TargetResult) else []
    spelled |= {
        f"quantmis.this_model.{slug}": name for name, slug in _slugged([record.name for record in versions]).items()
    }
    spelled |= {
        f"quantmis.released_together.{_about(subject)}.{number}": release.name
        for subject in audited(results)
        for number, release in enumerate(subject.releases, 1)
    }
    codes = ", ".join(sorted({finding.code for finding in results.warnings}))
    whole = {DATA: results.data.digest, "quantmis.findings": codes, **spelled}
    return {name: value[:LONGEST_PARAMETER] for name, value in whole.items()}


def _slugged(names: list[str]) -> Mapping[str, str]:
    return dict(zip(names, slugs(names), strict=True))


def _batches(numbers: Mapping[str, float], size: int) -> Iterator[dict[str, float]]:
    items = iter(numbers.items())
    while batch := dict(islice(items, size)):
        yield batch


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise UserError("MLflow is not installed", hint="pip install 'quantmis[mlflow]'") from error
    return mlflow
