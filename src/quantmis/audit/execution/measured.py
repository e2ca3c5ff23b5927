"""What an analysis computed before, from the store: measures by the digests of the loss tables that they are made of.

The key of an entry holds the code behind it as well: of ours what decides a number, so that the words of a message may
change; of attacks and measures that come from elsewhere all of it.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from typing import Any, TypeVar

from quantmis.analysis.recall import Entry, Kind
from quantmis.attacks import Attack
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.own_code import own_code
from quantmis.audit.execution.store import Damaged, Store
from quantmis.errors import UserError
from quantmis.measures import Subject, measures_of

T = TypeVar("T")
KEEPING = "quantmis.analysis.kept"
CODE: Mapping[Kind, Sequence[str]] = {
    "version": ("quantmis.analysis.scoring", "quantmis.analysis.versions", KEEPING),
    "release set": ("quantmis.analysis.release", "quantmis.analysis.versions", KEEPING),
    "control": ("quantmis.analysis.controls", KEEPING),
    "figures": ("quantmis.report.drawn",),
}
"""Where the code begins that decides what stands in an entry, besides attacks and measures."""

MEASURED: Mapping[Kind, Sequence[Subject]] = {
    "version": ("version", "attack"),
    "release set": ("release set", "attack"),
    "control": (),
    "figures": (),
}
LIBRARIES = ("numpy", "scipy", "scikit-learn", "matplotlib")


@dataclass(frozen=True)
class StoredMeasures:
    """Take from `store` what was computed of the same tables by the same code, and put there what was not.

    `damaged` names what the store held broken; it is computed again.
    """

    store: Store
    attacks: tuple[Attack, ...]
    damaged: list[str] = field(default_factory=list[str])

    def __call__(
        self, kind: Kind, inputs: Sequence[str], compute: Callable[[], Entry], parse: Callable[[Entry], T]
    ) -> T:
        """Return what `parse` reads from the entry of these inputs."""
        key = sha256(json.dumps([kind, self._code(kind), *inputs]).encode()).hexdigest()
        try:
            entry = self.store.load_measures(key)
            if entry is not None:
                return _parsed(key, entry, parse)
        except Damaged as what:
            print(f"stored {what}; it is computed again", file=sys.stderr)  # noqa: T201
            self.damaged.append(str(what))
        entry = compute()
        self.store.save_measures(key, entry)
        return parse(entry)

    def _code(self, kind: Kind) -> str:
        return _code(CODE[kind], tuple(MEASURED[kind]), self.attacks)


def _parsed(key: str, entry: Entry, parse: Callable[[Entry], T]) -> T:
    try:
        return parse(entry)
    except (ValueError, LookupError, UserError) as error:
        raise Damaged(f"{key}: it does not hold what it should") from error


@functools.cache
def _code(begin: tuple[str, ...], subjects: tuple[Subject, ...], attacks: tuple[Attack, ...]) -> str:
    """Return the hash of all code behind a kind of entry, and of the libraries that it calls."""
    computes = [each.compute for subject in subjects for each in measures_of(subject).values()]
    modules = {module for each in (*computes, *map(type, attacks)) if _is_ours(module := each.__module__)}
    foreign = [*_foreign(computes), *_foreign(attacks)]
    libraries = [version(name) for name in LIBRARIES]
    return json.dumps([own_code(*begin, *sorted(modules)), foreign, libraries])


def _foreign(things: Iterable[Any]) -> list[str]:
    return [code_hash(each) for each in things if not _is_ours(each.__module__)]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "quantmis"
