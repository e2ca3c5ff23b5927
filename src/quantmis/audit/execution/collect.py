"""Get all groups of an audit: from the store what verifies, from the executor the rest, into the store as it comes."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from quantmis.audit.execution.executors import Executor
from quantmis.audit.execution.keys import rows_keys, weights_keys
from quantmis.audit.execution.outside import CHANGED, changes
from quantmis.audit.execution.progress import Tick
from quantmis.audit.execution.returned import require_fitting
from quantmis.audit.execution.store import Damaged, Store
from quantmis.audit.execution.work import Group, Job, Rows, Weights, Work
from quantmis.errors import printable


@dataclass(frozen=True)
class Collected:
    """Hold the groups of an audit; `reused` lists those not trained now, `damaged` names what the store held broken."""

    groups: dict[range, Group] = field(default_factory=dict)
    reused: list[range] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def collect(work: Work, executor: Executor, store: Store | None, tick: Tick) -> Collected:
    """Return every group of `work`; each is in the store as soon as it is computed.

    What is stored is used again where everything is as it was that its models read while they were trained: rows as
    they are, weights for the rows that are missing.
    """
    if store is None:
        work = replace(work, keep_weights="none")
        jobs = {rows: work.job(rows) for rows in work.groups()}
        return Collected(dict(_computed(work, executor, jobs, jobs.values(), tick)))
    shelf = _Shelf(work, store)
    jobs = shelf.missing()
    for rows in work.groups():
        if rows not in jobs:
            tick(len(rows) * work.steps)
    for rows, group in _computed(work, executor, jobs, map(shelf.with_weights, jobs.values()), tick):
        shelf.put(rows, group)
    reused = [rows for rows in work.groups() if rows not in shelf.trained]
    return Collected(shelf.groups(), reused, shelf.damaged)


def _computed(
    work: Work, executor: Executor, jobs: Mapping[range, Job], waiting: Iterable[Job], tick: Tick
) -> Iterator[tuple[range, Group]]:
    """Yield what the executor makes of the jobs that are `waiting`, once it fits what `jobs` asked for."""
    for rows, group in executor.run(work, waiting, tick):
        require_fitting(work, jobs[rows], group)
        yield rows, group


S = TypeVar("S", Rows, Weights)


class _Shelf:
    """Hold what the store has for one audit, and what it is to get."""

    def __init__(self, work: Work, store: Store):
        self._work, self._store = work, store
        self._weights_keys = weights_keys(work)
        self._rows_keys = rows_keys(work, self._weights_keys)
        self._changes: dict[frozenset[tuple[str, str]], list[str]] = {}
        self._said: set[str] = set()
        self.damaged: list[str] = []
        self.trained: set[range] = set()
        self._versions = {rows: dict(self._stored(rows)) for rows in work.groups()}

    def missing(self) -> dict[range, Job]:
        """Return what is still to be computed, by group."""
        numbers = range(len(self._work.quantizers))
        wanted = {rows: tuple(n for n in numbers if n not in found) for rows, found in self._versions.items()}
        return {rows: Job(rows, numbers) for rows, numbers in wanted.items() if numbers}

    def with_weights(self, job: Job) -> Job:
        """Return a job with the weights that are stored; without them its models are trained."""
        weights = self._usable(self._store.load_weights, self._weights_keys[job.rows])
        if weights is None:
            self.trained.add(job.rows)
        return replace(job, weights=weights)

    def put(self, rows: range, group: Group) -> None:
        """Store what was computed of a group; all of it was computed at once, among the same files."""
        outside = _comparable(next(iter(group.versions.values())).outside)
        if group.weights is not None:
            self._store.save_weights(self._weights_keys[rows], replace(group.weights, outside=outside))
        if not group.is_whole:
            self._note("the recipe changes more of a model than its tensors, so that weights are not kept")
        for number, version in group.versions.items():
            self._store.save_rows(self._rows_keys[rows, number], replace(version, outside=outside))
        self._versions[rows] |= group.versions

    def groups(self) -> dict[range, Group]:
        """Return the rows of every group under every quantizer, without weights."""
        return {rows: Group(versions) for rows, versions in self._versions.items()}

    def _stored(self, rows: range) -> Iterator[tuple[int, Rows]]:
        for number in range(len(self._work.quantizers)):
            found = self._usable(self._store.load_rows, self._rows_keys[rows, number])
            if found is not None:
                yield number, found

    def _usable(self, load: Callable[[str], S | None], key: str) -> S | None:
        """Return what is stored, if it is whole and what was read beside its arguments is as it was."""
        try:
            found = load(key)
        except Damaged as what:
            print(f"stored {what}; it is computed again", file=sys.stderr)  # noqa: T201
            self.damaged.append(str(what))
            return None
        causes = [] if found is None else self._causes(found.outside)
        if causes:
            self._note(f"{printable(causes[0])} is not as it was: models that were trained with it are trained again")
        return None if causes else found

    def _causes(self, outside: Mapping[str, str]) -> list[str]:
        key = frozenset(outside.items())
        if key not in self._changes:
            self._changes[key] = changes(outside)
        return self._changes[key]

    def _note(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            print(f"note: {what}", file=sys.stderr)  # noqa: T201


def _comparable(outside: Mapping[str, str]) -> dict[str, str]:
    """Return what this machine can compare later: files that only a node of a cluster has cannot be."""
    here = set(changes(outside))
    return {
        word: digest for word, digest in outside.items() if digest == CHANGED or word.replace(":", " ", 1) not in here
    }
