"""From the groups of models that were computed to one loss table per quantizer."""

from collections.abc import Mapping

import numpy as np

from quantmis.audit.execution.work import Group, Work
from quantmis.evidence import Evidence
from quantmis.registry import spelling
from quantmis.tables.loss_table import EXTRACTED, NAMED, LossTable, beginning


def assemble(work: Work, groups: Mapping[range, Group]) -> list[LossTable]:
    """Return the table of each quantizer of `work`, from all its groups."""
    ordered = [groups[rows] for rows in work.groups()]
    return [_table(work, number, ordered) for number in range(len(work.quantizers))]


def _table(work: Work, number: int, groups: list[Group]) -> LossTable:
    arrays, is_trained_on = _joined(groups, f"{number}."), np.any(work.member, axis=0)
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
        traits=tuple(traits for group in groups for traits in group.traits[number]),
        is_audited=is_trained_on & (np.arange(len(is_trained_on)) < len(is_trained_on) - work.canaries),
        is_held_out=work.is_held_out,
        weight=work.task.loss.weights(work.samples.y),
        repeats=work.repeats,
        extracted=beginning(EXTRACTED, arrays),
    )


def _joined(groups: list[Group], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays of all groups whose names begin with `prefix`, one group below the other."""
    parts = [beginning(prefix, group.arrays) for group in groups]
    names = sorted({name for each in parts for name in each})
    return {name: np.concatenate([each[name] for each in parts if name in each]) for name in names}
