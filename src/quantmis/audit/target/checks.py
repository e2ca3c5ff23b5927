"""What is checked of a target before anything is spent: its weights, its versions, and what is known of it."""

from collections.abc import Callable
from functools import partial

import numpy as np
from torch import nn

from quantmis.audit.request import AuditRequest
from quantmis.audit.target.forgetting import require_comparable, require_peers
from quantmis.audit.target.open_model import OpenModel
from quantmis.audit.target.target import Target, Version
from quantmis.audit.target.versions import elsewhere, loss_row, made_elsewhere
from quantmis.data.samples import FEWEST, Samples
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.models.calling import users_errors
from quantmis.models.hugging_face import HuggingFace
from quantmis.models.probes import few_of
from quantmis.models.rows import LossRow, forward
from quantmis.models.task import inputs
from quantmis.registry import suggestion
from quantmis.stats import Estimate
from quantmis.stats.average import average
from quantmis.tables import slug

CERTAIN = 0.999
"""The level of the interval that a stated utility is held against."""

ROUNDED = 0.01
"""How far a stated utility may lie beyond the interval of the measured one: it was rounded, and from other samples."""


def check_target(request: AuditRequest) -> None:
    """Raise `UserError` unless the target and each of its versions can be computed on the samples."""
    target, task, samples = request.target, request.task, request.samples
    if target is None:
        return
    few = samples.take(np.concatenate([target.members, target.non_members])[:FEWEST])
    module = request.open_model.given.model
    shape = tuple(forward(_of_task(request), inputs(few)[:1], task.samples_at_once).shape[1:])
    settled_so = request.open_model.settle(few_of(inputs(samples)))
    _require_computes(lambda: loss_row(module, task, few, target.name, None, settled_so), target.name, shape)
    task.loss.require_measurable(samples.y[target.non_members])
    check_utility(request, target, module)
    if target.quantized and len(request.settings.quantizers) > 1:
        _ = request.open_model.module  # or the quantizers of the audit would fail after the training
    names = map(target.called, request.settings.quantizer_names[1:])
    paths = [slug(name) for name in (target.baseline, *names, *target.versions)]
    _require_like(target.name, target.like, request)
    require(len(set(paths)) == len(paths), f"two versions have names too alike: {', '.join(target.versions)}")
    require_peers(request)
    for name, other in target.others.items():
        opened = OpenModel(other, task)
        _require_computes(partial(loss_row, opened.given.model, task, few, name), name, shape)
        require_comparable(name, opened, request.open_model)
    for name, version in target.versions.items():
        _check_version(name, version, target, request, shape)


def _of_task(request: AuditRequest) -> nn.Module:
    """Return a model of the task, which a target has the outputs of; one of transformers was filled, and is one."""
    own = isinstance(request.task.model, HuggingFace) and request.open_model.is_of_task
    return request.open_model.given.model if own else request.task.build(0)


def check_utility(request: AuditRequest, target: Target, module: nn.Module) -> None:
    """Raise `UserError` where the model is worth something else than its owner says, on either side of its samples."""
    sides = {
        "non-members": (target.utility, target.non_members, target.members),
        "members": (target.members_utility, target.members, target.non_members),
    }
    for side, (stated, rows, others) in sides.items():
        if stated is not None:
            hint = f"a share, not per cent: {stated} % is {stated / 100:g}"
            require(stated <= 1, f"{target.name}: expected at most 1 of the accuracy stated, got {stated}", hint=hint)
            measured = _utility(request, target, module, rows, others)
            require(
                measured.low - ROUNDED <= stated <= measured.high + ROUNDED,
                f"{target.name} has {request.task.loss.metric} {measured.value:.3f} ({measured.low:.3f} to "
                f"{measured.high:.3f}) on the {side}, and {stated:.3f} is stated",
                hint="was it trained on these columns, in this order, with this encoding and scale? "
                "data.features names columns in order",
            )


def _utility(
    request: AuditRequest, target: Target, module: nn.Module, rows: np.ndarray, others: np.ndarray
) -> Estimate:
    """Return what the model is worth on `rows`; a few of the others are computed beside them, as in the audit."""
    task, samples = request.task, request.samples.take(np.concatenate([rows, others[:FEWEST]]))
    measured = np.arange(len(samples)) < len(rows)
    per_sample_utility = loss_row(module, task, samples, target.name, measured)[0].per_sample_utility
    assert per_sample_utility is not None  # noqa: S101 a module predicts
    weight = task.loss.weights(samples.y)
    return average(
        per_sample_utility[None, : len(rows)].astype(np.float64),
        np.zeros((1, 1), dtype=bool),
        CERTAIN,
        None if weight is None else weight[: len(rows)],
    )


def _check_version(
    name: str, version: Version, target: Target, request: AuditRequest, outputs: tuple[int, ...]
) -> None:
    _require_like(name, version.like, request)
    if not isinstance(version.source, Evidence):
        few = request.samples.take(np.arange(len(request.samples))[:FEWEST])
        _require_computes(lambda: _row_of(version, request, few, name), name, outputs)
        return
    shape = version.source.losses.shape
    require(
        shape == (1, len(request.samples)),
        f"{name}: expected a loss table of 1 model and {len(request.samples)} samples, got {shape}",
        hint="a loss for every sample of the audit, in its order",
    )


def _row_of(version: Version, request: AuditRequest, samples: Samples, name: str) -> tuple[LossRow, object]:
    with elsewhere(request, version, name) as model:
        return made_elsewhere(version, model, request.task, samples, name)


def _require_like(name: str, like: str | None, request: AuditRequest) -> None:
    names = request.settings.quantizer_names
    there = like is None or like in names
    require(there, f"{name}: there is no quantizer {like!r} in this audit", hint=suggestion(str(like), names))


def _require_computes(compute: Callable[[], tuple[LossRow, object]], name: str, outputs: tuple[int, ...]) -> None:
    """Raise `UserError` unless what computes a row does so, from `outputs`, the shape of a sample's, like the model's.

    A class more, or a dimension less, would be another number without a word.
    """
    hint = "it takes inputs as the model of the audit does, and returns its outputs"
    with users_errors(f"{name} cannot compute the samples", hint):
        found = compute()[0].outputs
    require(
        found in (None, outputs),
        f"{name} cannot compute the samples: it returns {list(found or ())} for one of them, the model of the audit "
        f"{list(outputs)}",
        hint=hint,
    )
