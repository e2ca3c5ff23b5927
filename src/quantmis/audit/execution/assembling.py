"""From the groups of models that were computed to one loss table per quantizer."""

from collections.abc import Mapping

import numpy as np

from quantmis.audit.execution.work import Group, Rows, Work
from quantmis.evidence import Evidence
from quantmis.registry import spelling
from quantmis.tables.loss_table import EXTRACTED, NAMED, LossTable, beginning


def assemble(work: Work, groups: Mapping[range, Group]) -> list[LossTable]:
    """Return the table of each quantizer of `work`, from all its groups."""
    ordered = [groups[rows] for rows in work.groups()]
    return [_table(work, number, ordered) for number in range(len(work.quantizers))]


def _table(work: Work, number: int, groups: list[Group]) -> LossTable:
    versions = [group.versions[number] for group in groups]
    arrays, is_trained_on = _joined(versions), np.any(work.member, axis=0)
    return LossTable(
        name=spelling(work.quantizers[number]),
        evidence=Evidence(
            losses=arrays["losses"],
            member=work.member,
            signal=arrays.get("signals"),
            entropy=arrays.get("entropy"),
            label=work.task.loss.classes(work.samples.y),
            named=beginning(NAMED, arrays),
            groups=work.together,
        ),
        per_sample_utility=arrays.get("per_sample_utility"),
        earlier=arrays.get("earlier"),
        metric=work.task.loss.metric,
        traits=tuple(traits for rows in versions for traits in rows.traits),
        is_audited=is_trained_on & (np.arange(len(is_trained_on)) < len(is_trained_on) - work.canaries),
        is_held_out=work.is_held_out,
        is_fitted=work.is_fitted if work.is_fitted.any() else None,
        weight=work.task.loss.weights(work.samples.y),
        repeats=work.repeats,
        extracted=beginning(EXTRACTED, arrays),
    )


def _joined(versions: list[Rows]) -> dict[str, np.ndarray]:
    """Return the arrays of all groups, one group below the other."""
    names = sorted({name for each in versions for name in each.arrays})
    return {name: np.concatenate([each.arrays[name] for each in versions if name in each.arrays]) for name in names}
