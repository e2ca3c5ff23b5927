"""Groups of rows that are already computed, on disk under the hash of everything that they depend on.

A group is written under a temporary name, synced and renamed, with a checksum over its content, so that it is whole or
absent. Resuming an audit is skipping what verifies; a change of any input has another key and can never meet a stale
row. One audit at a time writes into a folder.
"""

import hashlib
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from quantmis.audit.execution.work import Group
from quantmis.errors import UserError
from quantmis.files import private_folder, write_atomically
from quantmis.tables.traits import VersionTraits
from quantmis.tensor_files import entry


class Damaged(Exception):  # noqa: N818 it says what the group is
    """Say that a stored group is not what was written."""


@dataclass(frozen=True)
class Choice:
    """Hold an engine kind, and the seconds that a step of one model took by each."""

    kind: str
    seconds: dict[str, float]

    def checksum(self, task: str) -> str:
        """Return a hash of what is held, of that task."""
        return hashlib.sha256(json.dumps([task, self.kind, self.seconds]).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """Keep groups in `folder` by key."""

    folder: Path

    def path(self, key: str) -> Path:
        """Return where the group of that key stands or would stand."""
        return self.folder / f"{key}.safetensors"

    def save(self, key: str, group: Group) -> None:
        """Write a group, whole or not at all; `UserError` where the disk refuses it."""
        words = {"traits": _as_metadata(group.traits), "outside": json.dumps(dict(group.outside), sort_keys=True)}
        metadata = {**words, "checksum": _checksum(key, group.arrays, words)}
        arrays = {name: np.ascontiguousarray(array) for name, array in group.arrays.items()}
        private_folder(self.folder)
        write_atomically(self.path(key), save(arrays, metadata=metadata))

    def load(self, key: str) -> Group | None:
        """Return the group of that key, or None where there is none; `Damaged` where it does not verify."""
        path = self.path(key)
        if not path.exists():
            return None
        if not path.is_file():
            raise Damaged(f"{path.name}: it is no file")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a mapping
            words = {name: metadata[name] for name in ("traits", "outside")}
            if metadata["checksum"] != _checksum(key, arrays, words):
                raise Damaged(f"{path.name}: its checksum does not match")
            return Group(arrays, _from_metadata(words["traits"]), json.loads(words["outside"]))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise Damaged(f"{path.name}: {error}") from error

    def clear(self) -> None:
        """Remove all finished work, and which engine it was done by."""
        for file in [*self.folder.glob("*.safetensors"), *self.folder.glob("*.way")]:
            file.unlink()

    def remembered(self, task: str) -> Choice | None:
        """Return the engine kind by which models of that task were trained here before; a resumed audit keeps to it.

        What does not verify was not written by us, or not whole: then the kinds are timed again.
        """
        path = self._choice(task)
        try:
            record = json.loads(path.read_bytes())
            choice = Choice(str(record["way"]), {str(kind): float(each) for kind, each in record["seconds"].items()})
            return choice if record["checksum"] == choice.checksum(task) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            print(f"{path.name} is damaged: the engine kinds are timed again", file=sys.stderr)  # noqa: T201
            return None

    def remember(self, task: str, choice: Choice) -> None:
        """Write down the engine kind by which models of that task are trained, and what was measured."""
        private_folder(self.folder)
        content = {"way": choice.kind, "seconds": choice.seconds, "checksum": choice.checksum(task)}
        write_atomically(self._choice(task), json.dumps(content).encode())

    def _choice(self, task: str) -> Path:
        return self.folder / f"{task}.way"


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold `folder` for one audit; `UserError` where another process holds it. A killed process lets go."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        hint = "wait for it to end, or choose another --out"
        raise UserError(f"another audit is writing into {folder}", hint=hint) from error
    try:
        yield
    finally:
        lock.release()


def _checksum(key: str, arrays: dict[str, np.ndarray], words: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps([key, words], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(entry(name, arrays[name].dtype.str, arrays[name].shape, arrays[name].nbytes))
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _as_metadata(traits: list[list[VersionTraits]]) -> str:
    """Write traits as JSON."""
    return json.dumps([[asdict(each) for each in column] for column in traits])


def _from_metadata(text: str) -> list[list[VersionTraits]]:
    """Read traits written by `_as_metadata`."""
    return [[VersionTraits(**each) for each in column] for column in json.loads(text)]
