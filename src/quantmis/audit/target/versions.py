"""The loss tables of the target: one row for each of its versions, over the samples of the audit.

Versions are made by the quantizers of the audit, calibrated on non-members where they look at data, or were made
elsewhere and only computed here. An attack on a version is given the shadow models that went through the same
quantizer as references; where there are no shadow models, only attacks that need none are possible.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from quantmis import seeds
from quantmis.analysis.versions import NO_REFERENCE_MODELS, NOT_LIKE_THIS, References
from quantmis.audit.target.blind_baseline import blind_baseline
from quantmis.audit.execution.planning import AuditRequest
from quantmis.audit.options import Settings
from quantmis.tables.loss_table import Table, slug
from quantmis.audit.target.target import Target, Version, opened
from quantmis.audit.execution.work import CALIBRATION, Traits
from quantmis.data import Samples
from quantmis.data.samples import FEWEST
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.models import Task
from quantmis.models.rows import Row, row
from quantmis.models.task import inputs
from quantmis.models.weights import weights_digest
from quantmis.quantizers import Quantized, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling, suggestion
from quantmis.results import BlindBaseline
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.average import average

CERTAIN = 0.999
"""The level at which sets that differ by themselves are refused: one sound audit in a thousand is."""

ROUNDED = 0.01
"""How far a stated utility may lie beyond the interval of the measured one: it was rounded, and from other samples."""


def tables_of(asked: AuditRequest, member: Bool[np.ndarray, "models samples"]) -> list[Table]:
    """Return the table of each version of the target, full precision first; none where there is no target.

    Attacks are tried on the members and non-members that the trained models, if any, have `member` of. Non-members that
    a quantizer is calibrated on are left out of the attacks on all versions.
    """
    if asked.target is None:
        return []
    everything = np.ones(len(asked.samples), dtype=bool)
    shown = np.any(member[:, : len(asked.samples)], axis=0) if len(member) else everything
    calibrated = calibration_rows(asked.target, asked.settings, shown)
    shown[np.setdiff1d(calibrated, asked.target.members)] = False
    return list(_tables(asked, asked.target, shown, calibrated))


def _tables(
    asked: AuditRequest, target: Target, shown: Bool[np.ndarray, " samples"], calibrated: Int[np.ndarray, " rows"]
) -> Iterator[Table]:
    task, samples = asked.task, asked.samples
    seen = inputs(samples)[torch.from_numpy(calibrated)] if len(calibrated) else None
    for name, quantized in _made(asked, target, seen):
        computed = _row(quantized.model, task, samples, name)
        yield _table(name, computed, Traits.of(quantized), target, task, samples, shown)
    for name, version in target.versions.items():
        yield _table(name, *_elsewhere(version, target, task, samples, name), target, task, samples, shown)


def _made(asked: AuditRequest, target: Target, seen: Tensor | None) -> Iterator[tuple[str, Quantized]]:
    """Yield the model as it is given, and what the quantizers of the audit make of its weights, by name."""
    whole, *others = asked.settings.quantizers  # full precision is the first
    given = target.given(asked.task)
    yield target.baseline, given if isinstance(given, Quantized) else whole.quantize(given)
    module = target.module(asked.task) if others else None
    for quantizer in others:
        assert module is not None  # noqa: S101 for the type checker
        yield target.called(spelling(quantizer)), _quantized(quantizer, module, seen, asked.settings.seed)


def calibration_rows(target: Target, settings: Settings, shown: np.ndarray) -> Int[np.ndarray, " rows"]:
    """Return the rows to calibrate on, where any quantizer is: non-members not attacked or a quarter, or members."""
    if not any(map(needs_calibration, settings.quantizers)):
        return np.empty(0, dtype=np.int64)
    if settings.calibrate_on == "members":
        return target.members[:CALIBRATION]
    spare = target.non_members[~shown[target.non_members]]
    quarter = target.non_members[: len(target.non_members) // 4]
    return (spare if len(spare) >= len(quarter) else quarter)[:CALIBRATION]


def _quantized(quantizer: Quantizer, module: nn.Module, seen: Tensor | None, seed: int) -> Quantized:
    stream = torch.Generator().manual_seed(seeds.integer(seed, "target", "quantize", spelling(quantizer)))
    return quantizer.quantize(module, seen if needs_calibration(quantizer) else None, stream)


def _elsewhere(version: Version, target: Target, task: Task, samples: Samples, name: str) -> tuple[Row, Traits]:
    """Return the row of a version that was quantized elsewhere, and what is known of it."""
    if isinstance(version.source, Evidence):
        given = version.source
        entropy = None if given.entropy is None else given.entropy[0]
        row = Row(given.losses[0], given.signals[0], None, entropy)
        return row, Traits(seeds.spell("table", name), None, None, None, [])
    made = opened(version, target, task, name)
    if isinstance(made, Quantized):
        return _row(made.model, task, samples, name), Traits.of(made)
    return _row(made, task, samples, name), Traits(weights_digest(made), None, None, None, [])


def _row(module: nn.Module, task: Task, samples: Samples, name: str) -> Row:
    return row(module, task.loss, inputs(samples), task.loss.targets(samples.y), name=name)


def _table(
    name: str, computed: Row, traits: Traits, target: Target, task: Task, samples: Samples, shown: np.ndarray
) -> Table:
    known, member = target.known(len(samples)), target.is_member(len(samples))
    return Table(
        name=name,
        evidence=Evidence(
            losses=computed.losses[None],
            member=member[None],
            signal=computed.signals[None],
            entropy=None if computed.entropy is None else computed.entropy[None],
            label=task.loss.classes(samples.y),
            named={each: signal[None] for each, signal in computed.named.items()},
        ),
        per_sample_utility=None if computed.per_sample_utility is None else computed.per_sample_utility[None],
        earlier=None,
        metric=task.loss.metric,
        traits=(traits,),
        is_audited=known & shown,
        is_held_out=known & ~member,
        about="target",
        weight=task.loss.weights(samples.y),
    )


def references_of(asked: AuditRequest, procedure: Sequence[Table]) -> Callable[[Table], References]:
    """Return the attacker's own models for each version of the target; `procedure` has the tables of trained ones."""
    return references_among(procedure, _like(asked) if asked.target else {})


def _like(asked: AuditRequest) -> dict[str, str | None]:
    """Return the quantizer that each version resembles, where it is not the one of its name."""
    target = asked.target
    assert target is not None  # noqa: S101 for the type checker
    made = {target.called(name): None for name in asked.settings.quantizer_names} if target.quantized else {}
    return {**made, target.baseline: target.like or (None if target.quantized else target.baseline)} | {
        name: version.like for name, version in target.versions.items()
    }


def references_among(procedure: Sequence[Table], like: Mapping[str, str | None]) -> Callable[[Table], References]:
    """Return the attacker's own models for each version: those of the quantizer of its name, or that it is `like`."""
    by_name = {each.name: each for each in procedure}

    def references(table: Table) -> References:
        if not procedure:
            return References(adaptive=Unmeasured(NO_REFERENCE_MODELS))
        columns, own = np.flatnonzero(table.is_audited), by_name.get(like.get(table.name, table.name) or "")
        return References(
            adaptive=Unmeasured(NOT_LIKE_THIS) if own is None else own.evidence.columns(columns),
            transfer=None if own is procedure[0] else procedure[0].evidence.columns(columns),
        )

    return references


def blind(asked: AuditRequest, level: float | None = None) -> BlindBaseline | Unmeasured:
    """Return whether members differ from non-members by themselves; intervals are of `level`, or of the audit's."""
    if asked.target is None:
        return Unmeasured("no trained model was given: the audit drew members and non-members from one pool")
    rows = np.flatnonzero(asked.target.known(len(asked.samples)))
    chosen, member = asked.samples.take(rows), asked.target.is_member(len(asked.samples))[rows]
    loss, settings = asked.task.loss, asked.settings
    seen, classes = loss.without_models(chosen), loss.classes(chosen.y)
    return blind_baseline(seen, classes, member, settings.level if level is None else level, settings.seed)


def check_confounded(asked: AuditRequest) -> None:
    """Raise `UserError` where members can be told from non-members by themselves, and the target refuses that."""
    if asked.target is None or not asked.target.refuses_confounded(asked.task):
        return
    found = blind(asked, CERTAIN)
    if isinstance(found, BlindBaseline) and found.differs and isinstance(found.auc, Estimate):
        raise UserError(
            f"members can be told from non-members without the model: {found.method.partition(' on ')[0]} does so "
            f"with an AUC of {found.auc.value:.2f} ({found.auc.low:.2f} to {found.auc.high:.2f}), a coin has 0.5",
            hint="the two sets differ by themselves, and every number would show that; draw both from one shuffled "
            'source, or pass confounded="report" ([target] confounded = "report") to see the numbers all the same',
        )


def check_target(asked: AuditRequest) -> None:
    """Raise `UserError` unless the target and each of its versions can be computed on the samples."""
    target, task, samples = asked.target, asked.task, asked.samples
    if target is None:
        return
    few = samples.take(np.concatenate([target.members, target.non_members])[:FEWEST])
    given = target.given(task)
    module = given.model if isinstance(given, Quantized) else given
    _require_computes(lambda: _row(module, task, few, target.name), target.name)
    check_utility(asked, target, module)
    if target.quantized and len(asked.settings.quantizers) > 1:
        target.module(task)  # or the quantizers of the audit would fail after the training
    names = map(target.called, asked.settings.quantizer_names[1:])
    paths = [slug(name) for name in (target.baseline, *names, *target.versions)]
    _require_like(target.name, target.like, asked)
    require(len(set(paths)) == len(paths), f"two versions have names too alike: {', '.join(target.versions)}")
    for name, version in target.versions.items():
        _check_version(name, version, target, asked)


def check_utility(asked: AuditRequest, target: Target, module: nn.Module) -> None:
    """Raise `UserError` where the model is worth something else on its non-members than its owner says."""
    if target.utility is None:
        return
    others, task = len(target.non_members), asked.task
    samples = asked.samples.take(np.concatenate([target.non_members, target.members[:FEWEST]]))
    per_sample_utility = _row(module, task, samples, target.name).per_sample_utility
    assert per_sample_utility is not None  # noqa: S101 a module predicts
    weight = task.loss.weights(samples.y)
    found = average(
        per_sample_utility[None, :others].astype(np.float64),
        np.zeros((1, 1), dtype=bool),
        CERTAIN,
        None if weight is None else weight[:others],
    )
    require(
        found.low - ROUNDED <= target.utility <= found.high + ROUNDED,
        f"{target.name} has {task.loss.metric} {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on the "
        f"non-members, and {target.utility:.3f} is stated",
        hint="was it trained on these columns, in this order, with this encoding and scale? "
        "data.features names columns in order",
    )


def _check_version(name: str, version: Version, target: Target, asked: AuditRequest) -> None:
    _require_like(name, version.like, asked)
    if not isinstance(version.source, Evidence):
        few = asked.samples.take(np.arange(len(asked.samples))[:FEWEST])
        _require_computes(lambda: _elsewhere(version, target, asked.task, few, name), name)
        return
    shape = version.source.losses.shape
    require(
        shape == (1, len(asked.samples)),
        f"{name}: expected a loss table of 1 model and {len(asked.samples)} samples, got {shape}",
        hint="a loss for every sample of the audit, in its order",
    )


def _require_like(name: str, like: str | None, asked: AuditRequest) -> None:
    known = asked.settings.quantizer_names
    there = like is None or like in known
    require(there, f"{name}: there is no quantizer {like!r} in this audit", hint=suggestion(str(like), known))


def _require_computes(compute: Callable[[], object], name: str) -> None:
    try:
        compute()
    except UserError:
        raise
    except Exception as error:
        hint = "it takes inputs as the model of the audit does, and returns its outputs"
        raise UserError(f"{name} cannot compute the samples: {error}", hint=hint) from error
