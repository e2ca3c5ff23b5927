"""The loss tables of the target: one row for each of its versions, over the samples of the audit.

Versions are made by the quantizers of the audit, calibrated on non-members where they look at data, or were made
elsewhere and only computed here. An attack on a version is given the shadow models that went through the same
quantizer as references; where there are no shadow models, only attacks that need none are possible.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from quantmis import seeds
from quantmis.audit.analysis import NO_REFERENCE_MODELS, NOT_LIKE_THIS, References
from quantmis.audit.settings import Settings
from quantmis.audit.tables import Table
from quantmis.audit.target import Target, Version, module_of
from quantmis.audit.work import CALIBRATION, Traits
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.models import Task
from quantmis.models.rows import Row, row
from quantmis.models.task import inputs
from quantmis.models.weights import weights_digest
from quantmis.quantizers import Quantized, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling, suggestion
from quantmis.stats import Unmeasured


def tables(
    target: Target, task: Task, samples: Samples, settings: Settings, shown: Bool[np.ndarray, " samples"]
) -> Iterator[Table]:
    """Yield the table of each version, full precision first; attacks are tried on the members and non-members `shown`."""
    module = target.module(task)
    for quantizer in settings.quantizers:
        quantized = _quantized(quantizer, module, target, samples, settings.seed)
        computed = _row(quantized.model, task, samples, spelling(quantizer))
        yield _table(spelling(quantizer), computed, Traits.of(quantized), target, task, samples, shown)
    for name, version in target.versions.items():
        computed, traits = _elsewhere(version, task, samples, name)
        yield _table(name, computed, traits, target, task, samples, shown)


def _quantized(quantizer: Quantizer, module: nn.Module, target: Target, samples: Samples, seed: int) -> Quantized:
    stream = torch.Generator().manual_seed(seeds.integer(seed, "target", "quantize", spelling(quantizer)))
    seen = inputs(samples.take(target.non_members[:CALIBRATION])) if needs_calibration(quantizer) else None
    return quantizer.quantize(module, seen, stream)


def _elsewhere(version: Version, task: Task, samples: Samples, name: str) -> tuple[Row, Traits]:
    """Return the row of a version that was quantized elsewhere, and what is known of it."""
    if isinstance(version.source, Evidence):
        given = version.source
        traits = Traits(seeds.spell("table", name), None, None, None, [])
        none = None if given.entropy is None else given.entropy[0]
        return Row(given.losses[0], given.signals[0], np.empty(0), none), traits
    module = module_of(version, task, name)
    known = Traits.of(version.source) if isinstance(version.source, Quantized) else None
    return _row(module, task, samples, name), known or Traits(weights_digest(module), None, None, None, [])


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
        ),
        worth=computed.worth[None] if len(computed.worth) else None,
        earlier=None,
        metric=task.loss.metric,
        traits=(traits,),
        attacked=known & shown,
        unseen=known & ~member,
        about="target",
    )


def references(table: Table, version: Version | None, procedure: Sequence[Table]) -> References:
    """Return the attacker's own models for one version of the target; `procedure` holds the tables of shadow models."""
    if not procedure:
        return References(adaptive=Unmeasured(NO_REFERENCE_MODELS))
    by_name = {each.name: each for each in procedure}
    alike = table.name if version is None else version.like
    own, whole = by_name.get(alike or ""), procedure[0]
    return References(
        adaptive=Unmeasured(NOT_LIKE_THIS) if own is None else own.evidence.columns(table.attacked),
        transfer=None if own is whole else whole.evidence.columns(table.attacked),
    )


def check_versions(target: Target, task: Task, samples: Samples, settings: Settings) -> None:
    """Raise `UserError` unless every version made elsewhere can be computed on these samples, or has a row for each."""
    for name, version in target.versions.items():
        known = version.like is None or version.like in settings.quantizer_names
        require(
            known,
            f"{name}: there is no quantizer {version.like!r} in this audit",
            hint=suggestion(str(version.like), settings.quantizer_names),
        )
        if isinstance(version.source, Evidence):
            shape = version.source.losses.shape
            require(
                shape == (1, len(samples)),
                f"{name}: expected a loss table of 1 model and {len(samples)} samples, got {shape}",
                hint="a loss for every sample of the audit, in its order",
            )
        else:
            _row(module_of(version, task, name), task, samples.take(target.members), name)
