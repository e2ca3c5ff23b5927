"""The loss tables of the target: one row for each of its versions, over the samples of the audit.

Versions are made by the quantizers of the audit, calibrated on non-members where they look at data, or were made
elsewhere and only computed here. An attack on a version is given the shadow models that went through the same
quantizer as references; where there are no shadow models, only attacks that need none are possible.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from quantmis import seeds
from quantmis.analysis.scoring import ReferencesOf, trained_models
from quantmis.audit.execution.computing import traits_of
from quantmis.audit.execution.progress import SILENT, Stages
from quantmis.audit.execution.work import CALIBRATION
from quantmis.audit.request import AuditRequest
from quantmis.audit.settings import Settings
from quantmis.audit.target.forgetting import forgetting_of
from quantmis.audit.target.open_model import OpenModel
from quantmis.audit.target.shown import Shown
from quantmis.audit.target.target import Target, Version
from quantmis.audit.target.weights import file_of
from quantmis.data import Samples
from quantmis.evidence import Evidence
from quantmis.models import Task
from quantmis.models.probes import Settled, differs_among, few_of, settled
from quantmis.models.rows import LossRow, computed, row_of
from quantmis.models.task import inputs
from quantmis.models.weights import weights_digest
from quantmis.quantizers import Quantized, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling
from quantmis.tables import FULL_PRECISION, LossTable, SecretScores, VersionTraits
from quantmis.tensor_files import digest_of


def tables_of(
    request: AuditRequest, member: Bool[np.ndarray, "models samples"], stages: Stages = SILENT
) -> list[LossTable]:
    """Return the table of each version of the target, full precision first; none where there is no target.

    Attacks are tried on the members and non-members that the trained models, if any, have `member` of. Non-members that
    a quantizer is calibrated on are left out of the attacks on all versions, and with them those of their groups.
    """
    if request.target is None:
        return []
    everything = np.ones(len(request.samples), dtype=bool)
    is_audited = np.any(member[:, : len(request.samples)], axis=0) if len(member) else everything
    groups = request.target.groups(request.samples)
    calibrated = calibration_rows(request.target, request.settings, is_audited, groups)
    exclusions = np.setdiff1d(calibrated, request.target.members)
    is_audited[exclusions if groups is None else np.isin(groups, groups[exclusions])] = False
    count = len(_named_quantizers(request, request.target)) + len(request.target.versions)
    tick, tables = stages.stage("versions of the model", count), list[LossTable]()
    for table in _tables(request, request.target, is_audited, calibrated):
        tables.append(table)
        tick(1)
    return tables


def _tables(
    request: AuditRequest,
    target: Target,
    is_audited: Bool[np.ndarray, " samples"],
    calibrated: Int[np.ndarray, " rows"],
) -> Iterator[LossTable]:
    task, samples = request.task, request.samples
    shown = Shown.of(request, target, calibrated)
    beside, digests = _beside(request, target, shown)
    origins, measured = _origins(request, target, digests), target.is_measured(len(samples))
    for name, quantizer in _named_quantizers(request, target).items():
        with _quantized(request, request.open_model, quantizer, shown) as quantized:
            known = request.open_model.settled_so(quantized.model)
            computed, by_company = loss_row(quantized.model, task, samples, name, measured, known)
            forgetting = forgetting_of(target, task, samples, beside.get(name, {}), quantized.model)
            leaked = _leaked(target, quantized.model)
        table = _table(name, computed, traits_of(quantized, by_company), target, task, samples, is_audited)
        noisy = None if target.quantized else _perturbed_signals(request, name, quantizer, shown)
        yield replace(table, origin=origins.get(name, {}), forgetting=forgetting, secrets=leaked, perturbed=noisy)
    for name, version in target.versions.items():
        like = None if version.like is None else _named(target, version.like)
        with elsewhere(request, version, name) as model:
            parts = made_elsewhere(version, model, task, samples, name, measured)
            module = model.model if isinstance(model, Quantized) else model
            forgetting = forgetting_of(target, task, samples, beside.get(like or "", {}), module)
            leaked = _leaked(target, module)
        table = _table(name, *parts, target, task, samples, is_audited)
        yield replace(table, origin=origins[name], forgetting=forgetting, secrets=leaked)


def _leaked(target: Target, module: nn.Module | None) -> SecretScores | None:
    """Return what a version gives away of secrets; None where none were named, or where it shows no probabilities."""
    return None if target.secrets is None or module is None else target.secrets.leaked_by(module)


def _beside(
    request: AuditRequest, target: Target, shown: Shown
) -> tuple[dict[str, dict[str, Float[np.ndarray, " samples"]]], dict[str, str]]:
    """Return the signals of the models that a target is compared with, by version and name, each quantized alike.

    And the digests of their weights by name.
    """
    signals, digests = dict[str, dict[str, np.ndarray]](), dict[str, str]()
    for model, other in target.others.items():
        opened = OpenModel(other, request.task, request.out)
        digests[model] = opened.given.fingerprint
        for name, quantizer in _named_quantizers(request, target).items():
            with _quantized(request, opened, quantizer, shown) as quantized:
                computed, _ = loss_row(quantized.model, request.task, request.samples, f"{model}, {name}")
            signals.setdefault(name, {})[model] = computed.signals
    return signals, digests


def _named(target: Target, quantizer: str) -> str:
    """Return the name of the version that a quantizer of the audit makes of the target."""
    return target.baseline if quantizer == FULL_PRECISION else target.called(quantizer)


def _origins(request: AuditRequest, target: Target, beside: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return where versions come from that no quantizer of the audit made, and what all are like.

    `beside`: the digests of the models that the target is compared with.
    """
    origins = {name: {"like": like or ""} for name, like in _like(request).items()}
    origins[target.baseline] |= {"name": target.name, "file": _file_digest(target.weights), **beside}
    for name, version in target.versions.items():
        origins[name] |= {"file": _file_digest(version.source)}
    return origins


def _file_digest(source: object) -> str:
    """Return the SHA-256 of the file or folder that weights were read from, an empty text for those in memory."""
    file = file_of(source)
    return "" if file is None else digest_of(file.path)


def _named_quantizers(request: AuditRequest, target: Target) -> dict[str, Quantizer | None]:
    """Return the quantizers of the audit by the names of the versions they make; None leaves the model as given."""
    _, *others = request.settings.quantizers  # full precision is the first
    return {target.baseline: None} | {target.called(spelling(each)): each for each in others}


def _quantized(
    request: AuditRequest, opened: OpenModel, quantizer: Quantizer | None, shown: Shown, *address: str
) -> AbstractContextManager[Quantized]:
    """Return the context in which a model is what a quantizer makes of it; one that draws does so at each `address`."""
    if quantizer is None:
        return nullcontext(opened.given)
    stream = _stream(request, "quantize", spelling(quantizer), *address)
    return opened.quantized(quantizer, shown.to(quantizer), stream)


def _perturbed_signals(
    request: AuditRequest, name: str, quantizer: Quantizer | None, shown: Shown
) -> Float[np.ndarray, "1 samples"]:
    """Return the signals of a version of the target with noise on its weights, calibrated anew on the same samples.

    How the channel is measured of one model.
    """
    opened = request.open_model
    with (
        opened.perturbed(_stream(request, "perturb")),
        _quantized(request, opened, quantizer, shown, "perturbed") as noisy,
    ):
        known = opened.settled_so(noisy.model)
        noise = loss_row(noisy.model, request.task, request.samples, f"{name}, perturbed", None, known)
        return noise[0].signals[None]


def _stream(request: AuditRequest, *address: str) -> torch.Generator:
    return torch.Generator().manual_seed(seeds.integer(request.settings.options.seed, "target", *address))


def elsewhere(
    request: AuditRequest, version: Version, name: str
) -> AbstractContextManager[nn.Module | Quantized | None]:
    """Return the context in which a version that was made elsewhere is in memory; None for a table of its losses."""
    return nullcontext(None) if isinstance(version.source, Evidence) else request.open_model.version(version, name)


def calibration_rows(
    target: Target, settings: Settings, is_audited: np.ndarray, groups: Int[np.ndarray, " samples"] | None = None
) -> Int[np.ndarray, " rows"]:
    """Return the rows to calibrate on, where any quantizer is: non-members not attacked or a quarter, or members.

    A quarter is of whole `groups` [samples], one at least.
    """
    if not any(map(needs_calibration, settings.quantizers)):
        return np.empty(0, dtype=np.int64)
    if settings.options.calibrate_on == "members":
        return target.members[:CALIBRATION]
    spare = target.non_members[~is_audited[target.non_members]]
    quarter = _quarter(target.non_members, groups)
    return (spare if len(spare) >= len(quarter) else quarter)[:CALIBRATION]


def _quarter(rows: Int[np.ndarray, " rows"], groups: Int[np.ndarray, " samples"] | None) -> Int[np.ndarray, " some"]:
    count = len(rows) // 4
    if groups is None:
        return rows[:count]
    _, first, number = np.unique(groups[rows], return_index=True, return_inverse=True)
    group = np.sort(first[number])  # of each row, where rows of a group stand behind each other
    whole = group[:count][~np.isin(group[:count], group[count:])]
    return rows[np.isin(first[number], whole if len(whole) else group[:1])]


def made_elsewhere(
    version: Version,
    model: nn.Module | Quantized | None,
    task: Task,
    samples: Samples,
    name: str,
    is_measured: Bool[np.ndarray, " samples"] | None = None,
) -> tuple[LossRow, VersionTraits]:
    """Return the row of a version that was quantized elsewhere, `model` where there is one, and what is known of it."""
    if isinstance(version.source, Evidence):
        table = version.source
        entropy = None if table.entropy is None else table.entropy[0]
        losses = LossRow(table.losses[0], table.signals[0], None, entropy)
        return losses, VersionTraits(seeds.spell("table", name), None, None, None, [])
    module = model.model if isinstance(model, Quantized) else model
    assert module is not None  # noqa: S101 for the type checker
    computed, by_company = loss_row(module, task, samples, name, is_measured)
    if isinstance(model, Quantized):
        return computed, traits_of(model, by_company)
    return computed, VersionTraits(weights_digest(module), None, None, None, [], by_company)


def loss_row(
    module: nn.Module,
    task: Task,
    samples: Samples,
    name: str,
    is_measured: Bool[np.ndarray, " samples"] | None = None,
    settled_so: Settled | None = None,
) -> tuple[LossRow, bool]:
    """Return the row of a model, and whether company matters to it: then each sample is computed alone.

    `is_measured`: the samples whose mean is the utility; without it no utility is computed. `settled_so`: how the
    module is computed, where that is known.
    """
    x, targets = inputs(samples), task.loss.targets(samples.y)
    how = settled_so or settled(name, module, task, few_of(x))
    outputs, by_company = computed(how.module, x, name, how.samples_at_once), how.by_company
    if settled_so is None and not by_company and differs_among(how.module, x, outputs, how.samples_at_once):
        outputs, by_company = computed(how.module, x, name, samples_at_once=1), True
    return row_of(outputs, task.loss, targets, is_measured, name), by_company


def _table(
    name: str,
    computed: LossRow,
    traits: VersionTraits,
    target: Target,
    task: Task,
    samples: Samples,
    is_audited: np.ndarray,
) -> LossTable:
    is_known, member = target.known(len(samples)), target.is_member(len(samples))
    return LossTable(
        name=name,
        evidence=Evidence(
            losses=computed.losses[None],
            member=member[None],
            signal=computed.signals[None],
            entropy=None if computed.entropy is None else computed.entropy[None],
            label=task.loss.classes(samples.y),
            named={each: signal[None] for each, signal in computed.named.items()},
            groups=target.groups(samples),
        ),
        per_sample_utility=None if computed.per_sample_utility is None else computed.per_sample_utility[None],
        earlier=None,
        metric=task.loss.metric,
        traits=(traits,),
        is_audited=is_known & is_audited,
        is_held_out=target.is_measured(len(samples)),
        about="target",
        weight=task.loss.weights(samples.y),
    )


def references_of(request: AuditRequest, tables: Sequence[LossTable]) -> ReferencesOf:
    """Return the attacker's own models for each version of the target; `tables` are those of trained ones."""
    return trained_models(tables, _like(request) if request.target else {})


def _like(request: AuditRequest) -> dict[str, str | None]:
    """Return the quantizer that each version resembles, where it is not the one of its name."""
    target = request.target
    assert target is not None  # noqa: S101 for the type checker
    by_quantizer = {target.called(name): None for name in request.settings.quantizer_names} if target.quantized else {}
    return {**by_quantizer, target.baseline: target.like or (None if target.quantized else target.baseline)} | {
        name: version.like for name, version in target.versions.items()
    }
