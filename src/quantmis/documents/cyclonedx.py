"""The audit as a CycloneDX 1.7 bill of materials of a model (ML-BOM, ECMA-424).

The model is a component of type machine-learning-model with its hashes and a model card: the numbers of every version
with their intervals, what was considered, what the numbers do not say. The library writes everything but the model
card and the declarations, which its object model does not have; the whole is checked against the schema of CycloneDX
before it is returned.
"""

# The library's classes are made by a decorator that hides their fields from type checkers.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot7
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from quantmis.documents.declarations import declarations, standards
from quantmis.documents.measures import counted, meanings, numbers, of_release
from quantmis.documents.source import Source, audited, file_digest
from quantmis.errors import UserError
from quantmis.measures import Number
from quantmis.report import tested
from quantmis.report.verdict import verdict
from quantmis.report.words import clean, title
from quantmis.results import Results, ResultSubject, TargetResult, standing
from quantmis.stats import Estimate, Unmeasured

NAMESPACE = uuid.UUID("6d1a7a4e-5d0e-5b9e-9d0b-7a2f3c9b8e11")
MODEL, DATA = "model", "training-data"
SHORT = 200
HASHED = "SHA-256 of the names, types, shapes and bytes of the tensors of the audited model"
FILED = "SHA-256 of the file that the version was read from, or of the safetensors and JSON files of the folder"
UNHASHED = "none: an audit keeps the losses of a version, not its weights; name the file that ships with --weights"
TASKS = {
    "cross_entropy": "classification",
    "binary_cross_entropy": "classification",
    "multi_label": "multi-label classification",
    "mse": "regression",
}
AT_LEAST = (
    "Every figure is what the attacks that were run achieved. A better attack may exist, so the figures say how much "
    "is given away at least."
)


def render(source: Source) -> bytes:
    """Return the bill of materials as JSON; `UserError` where a file of weights cannot be read."""
    bom = json.loads(_bill(source))
    bom["metadata"]["component"]["modelCard"] = model_card(source.results)
    bom["declarations"] = declarations(source, MODEL)
    bom["definitions"] = {"standards": standards(source)}
    if source.broken:
        considerations = bom["metadata"]["component"]["modelCard"]["considerations"]
        considerations["technicalLimitations"].insert(0, f"{source.broken}.")
    text = json.dumps(bom, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    _require_valid(text)
    return text.encode()


def model_card(results: Results) -> dict[str, Any]:
    """Return the `modelCard` of the component."""
    return {
        "modelParameters": {**_task(results), "datasets": [{"ref": DATA}]},
        "quantitativeAnalysis": {
            "performanceMetrics": [each for subject in audited(results) for each in _metrics(subject)]
        },
        "considerations": _considerations(results),
    }


def _task(results: Results) -> dict[str, str]:
    """Return what the model is for where the loss tells; a loss of the user's own does not."""
    task = TASKS.get(results.config.loss) or ("classification" if results.data.classes else "")
    return {"task": task} if task else {}


def _metrics(subject: ResultSubject) -> list[dict[str, Any]]:
    return [
        _metric(name, number, f"{subject.about}; version {clean(record.name, SHORT)}")
        for _, record, _ in subject.ordered
        for name, number in numbers(record).items()
        if isinstance(number, Estimate)
    ] + [
        _metric(name, number, f"{subject.about}; released together {clean(release.name, SHORT)}")
        for release in subject.releases
        for name, number in of_release(release).items()
        if isinstance(number, Estimate)
    ]


def _metric(name: str, estimate: Estimate, part: str) -> dict[str, Any]:
    interval = {"lowerBound": repr(estimate.low), "upperBound": repr(estimate.high)}
    return {"type": clean(name, SHORT), "value": repr(estimate.value), "slice": part, "confidenceInterval": interval}


def _considerations(results: Results) -> dict[str, Any]:
    sentences = verdict(results)
    findings = [f"{finding.code}: {clean(finding.text, 1000)}" for finding in results.warnings]
    traded = [sentence.text for sentence in sentences if sentence.kind == "detail"]
    risk = " ".join(sentence.text for sentence in sentences if sentence.kind in {"alarm", "headline", "decision"})
    return {
        "technicalLimitations": [AT_LEAST, *tested.said(results), *findings],
        "performanceTradeoffs": traded,
        "ethicalConsiderations": [{"name": f"Membership inference. {risk}"}],
    }


def _bill(source: Source) -> str:
    """Return the bill without the model card, as the library writes it."""
    model = _model(source)
    data = _component(DATA, "training data", ComponentType.DATA, source.results.data.digest)
    versions = _versions(source.results)
    bom = Bom(
        serial_number=uuid.uuid5(NAMESPACE, source.digest),
        components=[data, *versions, *_files(source)],
        metadata=BomMetaData(
            component=model, timestamp=_moment(source.results), tools=ToolRepository(components=[_tool(source)])
        ),
        properties=_properties({"note": "the hash of training-data is of the bytes of inputs and labels"}),
    )
    bom.register_dependency(model, [data])
    for version in versions:
        bom.register_dependency(version, [model])
    return JsonV1Dot7(bom).output_as_string()


def _model(source: Source) -> Component:
    results, target = source.results, source.results.target
    has_target = isinstance(target, TargetResult)
    model = _component(
        MODEL, results.config.model, ComponentType.MACHINE_LEARNING_MODEL, target.digest if has_target else ""
    )
    model.properties.update(_properties({"hash": HASHED if has_target else "none: the training algorithm was audited"}))
    settings = {"depth": results.config.depth, "level": repr(results.config.level)}
    model.properties.update(_properties({**settings, "loss": clean(results.config.loss, SHORT)}))
    model.properties.update(_properties({f"metric:{name}": meaning for name, meaning in meanings().items()}))
    model.external_references.add(_evidence(source))
    return model


def _component(reference: str, name: str, kind: ComponentType, digest: str) -> Component:
    return Component(type=kind, bom_ref=reference, name=clean(name, SHORT), hashes=_hashes(digest))


def _versions(results: Results) -> list[Component]:
    """Return a component for each quantized version of what leads the report, the least exposed first."""
    components: list[Component] = []
    files = _files_of_versions(results)
    for number, (rank, record, tied) in enumerate(audited(results)[0].ordered, 1):
        digest = files.get(record.name, "")
        version = _component(f"version:{number}", title(record.name), ComponentType.MACHINE_LEARNING_MODEL, digest)
        properties = {"version": clean(record.name, SHORT), "rank": standing(rank, len(tied))}
        properties["hash"] = FILED if digest else UNHASHED
        counts = {name: repr(number) for name, number in record.numbers() if name in counted() and _is_number(number)}
        losses = {"losses_sha256": record.table_digest} if record.table_digest else {}
        version.properties.update(_properties({**properties, **counts, **losses}))
        components.append(version)
    return components


def _is_number(number: Number) -> bool:
    return isinstance(number, int | float)


def _files_of_versions(results: Results) -> dict[str, str]:
    """Return the digest of each file that a version of this model, full precision first, was read from."""
    if not isinstance(results.target, TargetResult) or isinstance(results.this_model, Unmeasured):
        return {}
    whole = results.this_model[0][0].name
    return {whole: results.target.file, **results.target.files}


def _files(source: Source) -> list[Component]:
    """Return a component for each file of weights that the user named: its hash is that of its bytes."""
    names = [path.name for path in source.weights]
    if len(set(names)) < len(names):
        raise UserError("two files of weights have the same name", hint="give them different names")
    return [
        _component(f"weights:{path.name}", path.name, ComponentType.FILE, file_digest(path)) for path in source.weights
    ]


def _hashes(digest: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else []


def _evidence(source: Source) -> ExternalReference:
    kind, hashes = ExternalReferenceType.EVIDENCE, _hashes(source.digest)
    return ExternalReference(type=kind, url=XsUri("results.json"), comment="every number of the audit", hashes=hashes)


def _tool(source: Source) -> Component:
    version = source.results.environment.versions.get("quantmis")
    return Component(type=ComponentType.APPLICATION, bom_ref="quantmis", name="quantmis", version=version)


def _properties(values: dict[str, str]) -> list[Property]:
    return [Property(name=f"quantmis:{name}", value=value) for name, value in values.items()]


def _moment(results: Results) -> datetime:
    try:
        moment = datetime.fromisoformat(results.environment.started)
    except ValueError as error:
        message = f"environment.started is no time: {clean(results.environment.started)}"
        raise UserError(message, hint="the file was edited; run the audit again") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _require_valid(text: str) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
    if error is not None:
        raise AssertionError(f"the bill of materials does not fit its schema: {error}")
