"""Get all groups of an audit: from the store what verifies, from the executor the rest, into the store as it comes."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from quantmis.audit.execution.executors import Executor
from quantmis.audit.execution.group_key import group_key
from quantmis.audit.execution.outside import CHANGED, changes
from quantmis.audit.execution.progress import Tick
from quantmis.audit.execution.returned import require_fitting
from quantmis.audit.execution.store import Damaged, Store
from quantmis.audit.execution.work import Group, Work
from quantmis.errors import printable
from quantmis.files import private_folder, write_atomically


@dataclass(frozen=True)
class Collected:
    """Hold the groups of an audit; `reused` counts those that the store held, `damaged` names those it held broken."""

    groups: dict[range, Group] = field(default_factory=dict)
    reused: list[range] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def collect(work: Work, executor: Executor, store: Store | None, tick: Tick) -> Collected:
    """Return every group of `work`; each is in the store as soon as it is computed.

    A stored one is used again where everything is as it was that its models read while they were trained.
    """
    collection = Collected()
    if store is None:
        for rows, group in executor.run(work, work.groups(), tick):
            require_fitting(work, rows, group)
            collection.groups[rows] = group
        return collection
    keys = {rows: group_key(work, rows) for rows in work.groups()}
    for rows, group in _unchanged(_stored(store, keys, collection.damaged)):
        collection.groups[rows] = group
        collection.reused.append(rows)
        tick(len(rows) * work.steps)
    missing = [rows for rows in keys if rows not in collection.groups]
    for rows, group in executor.run(work, missing, tick):
        require_fitting(work, rows, group)
        store.save(keys[rows], replace(group, outside=_comparable(group.outside)))
        collection.groups[rows] = group
    return collection


def _stored(store: Store, keys: dict[range, str], damaged: list[str]) -> Iterator[tuple[range, Group]]:
    for rows, key in keys.items():
        try:
            group = store.load(key)
        except Damaged as what:
            print(f"stored group {what}; it is computed again", file=sys.stderr)  # noqa: T201
            damaged.append(str(what))
            continue
        if group is not None:
            yield rows, group


def _unchanged(stored: Iterable[tuple[range, Group]]) -> Iterator[tuple[range, Group]]:
    """Yield the groups whose surroundings are as they were; say once what changed."""
    causes = set[str]()
    for rows, group in stored:
        others = changes(group.outside)
        if not others:
            yield rows, group
        elif (what := others[0]) not in causes:
            causes.add(what)
            note = f"note: {printable(what)} is not as it was: models that were trained with it are trained again"
            print(note, file=sys.stderr)  # noqa: T201


def _comparable(outside: Mapping[str, str]) -> dict[str, str]:
    """Return what this machine can compare later: files that only a node of a cluster has cannot be."""
    here = set(changes(outside))
    return {
        word: digest for word, digest in outside.items() if digest == CHANGED or word.replace(":", " ", 1) not in here
    }


def write_weights(groups: Mapping[range, Group], out: Path) -> None:
    """Write the weights that groups kept, a file per model: `weights/shadow_0003.safetensors`."""
    for rows, group in groups.items():
        for index in rows:
            prefix = f"weights/{index}/"
            own = {name.removeprefix(prefix): value for name, value in group.arrays.items() if name.startswith(prefix)}
            if own:
                path = private_folder(out / "weights") / f"shadow_{index:04d}.safetensors"
                write_atomically(path, save({name: np.ascontiguousarray(value) for name, value in own.items()}))
