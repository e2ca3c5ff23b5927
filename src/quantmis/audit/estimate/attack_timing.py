"""How long the attacks of an audit will take: two tables of its shape, random but for their first rows, are attacked.

Every so many columns stand for all: attacks work sample by sample, so that time grows with the samples.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from quantmis import seeds
from quantmis.analysis import AnalysisSettings, analyse
from quantmis.analysis.controls import matched_noise, planted_leak, shuffled_membership, shuffled_release
from quantmis.analysis.scoring import ReferencesOf, each_other
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.work import Group, Rows, Work
from quantmis.tables import LossTable

EVERY = 4
RELEASE = 2
"""Attacks on all versions together take about as long as the control that shuffles their memberships."""

ENOUGH = 200
"""Attacked samples below which all are tried."""


@dataclass(frozen=True, eq=False)
class AttackedTarget:
    """Hold the tables of a target, and what makes the attacker's own models of the tables of trained ones."""

    tables: Sequence[LossTable]
    references_of: Callable[[Sequence[LossTable]], ReferencesOf]

    def seconds(self, trained: Sequence[LossTable], settings: AnalysisSettings) -> float:
        """Return about how long the attacks on all versions of the target take, by what two of them take."""
        some = [replace(table, is_audited=table.is_audited & _columns(table.is_audited)) for table in self.tables]
        share = int(some[0].is_audited.sum()) / int(self.tables[0].is_audited.sum())
        return _versions(some, self.references_of(trained), settings, len(some)) / share


def attack_seconds(
    work: Work, group: Group, settings: AnalysisSettings, quantizers: int, target: AttackedTarget | None = None
) -> float:
    """Return about how long attacks and controls will take.

    `group`: the rows of the first models, as they are before training. `quantizers`: how many tables are of quantizers,
    before those of matched noise. `target`: what is attacked beside the tables of the trained models.
    """
    whole = assemble(work, _tables_from(work, group))
    tables = [_thinned(table) for table in whole]
    own, noises = tables[:quantizers], tables[quantizers:]
    seconds = _whole(own, noises, each_other(own[:2]), settings, len(own))
    columns = int(tables[0].is_audited.sum()), int(np.any(work.member, axis=0).sum()) - work.canaries
    return seconds * columns[1] / columns[0] + (0.0 if target is None else target.seconds(whole[:quantizers], settings))


def seconds_as_is(tables: Sequence[LossTable], references: ReferencesOf, settings: AnalysisSettings) -> float:
    """Return about how long the attacks on the very model and its versions will take, whose tables are there."""
    some = [_thinned(table) for table in tables]
    share = int(some[0].is_audited.sum()) / int(tables[0].is_audited.sum())
    return _whole(some, [], references, settings, len(tables)) / share


def _whole(
    own: list[LossTable],
    noises: list[LossTable],
    references: ReferencesOf,
    settings: AnalysisSettings,
    versions: int,
) -> float:
    """Return how long the attacks on so many `versions` take, and the controls, by what two of them take."""
    attacks = _versions(own, references, settings, versions)
    once = _seconds(lambda: [*shuffled_membership(own[0], settings), *planted_leak(own[0], settings)])
    together = RELEASE * _seconds(lambda: shuffled_release(own, settings))
    against = _seconds(lambda: matched_noise(own, noises[:1], settings))
    return attacks + once + together + against * len(noises)


def _versions(own: list[LossTable], references: ReferencesOf, settings: AnalysisSettings, versions: int) -> float:
    ticks = [time.perf_counter()]
    analyse(own[:2], references, settings, None, lambda done: ticks.append(time.perf_counter()))
    first, other = np.diff(ticks)[[0, -1]]
    return float(first + other * (versions - 1))


def _tables_from(work: Work, group: Group) -> dict[range, Group]:
    """Return groups for all models that resemble the one that is known."""
    draw = seeds.generator(work.seed, "plan")
    models = len(next(iter(group.versions.values())).traits)
    return {rows: _like(group, np.arange(len(rows)) % models, draw) for rows in work.groups()}


def _like(group: Group, rows: np.ndarray, draw: np.random.Generator) -> Group:
    return Group({number: _noisy(version, rows, draw) for number, version in group.versions.items()})


def _noisy(version: Rows, rows: np.ndarray, draw: np.random.Generator) -> Rows:
    arrays = {name: value[rows] for name, value in version.arrays.items()}
    noisy = {
        name: value + (value.std() * draw.normal(size=value.shape)).astype(value.dtype)
        for name, value in arrays.items()
        if value.dtype.kind == "f"
    }
    return Rows({**arrays, **noisy}, [version.traits[row] for row in rows])


def _thinned(table: LossTable) -> LossTable:
    """Return the table with some of the attacked columns."""
    columns = _columns(table.is_audited)

    def some(each: np.ndarray | None) -> np.ndarray | None:
        return None if each is None else each[..., columns]

    return replace(
        table,
        evidence=table.evidence.columns(columns),
        per_sample_utility=some(table.per_sample_utility),
        is_audited=table.is_audited[columns],
        is_held_out=table.is_held_out[columns],
        is_fitted=some(table.is_fitted),
        perturbed=some(table.perturbed),
        weight=some(table.weight),
        repeats=some(table.repeats),
    )


def _columns(is_audited: Bool[np.ndarray, " samples"]) -> Bool[np.ndarray, " samples"]:
    """Return every so many of the audited columns, an even number as controls need them, and all others."""
    audited = np.flatnonzero(is_audited)
    if len(audited) < ENOUGH * EVERY:
        return np.ones(len(is_audited), dtype=bool)
    some = audited[::EVERY]
    columns = ~is_audited
    columns[some[: len(some) // 2 * 2]] = True
    return columns


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
