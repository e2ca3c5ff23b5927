"""What is already computed, on disk under the hash of all that it depends on: weights, rows of versions, measures.

A file is written under a temporary name, synced and renamed, with a checksum over its content, so that it is whole or
absent. Resuming an audit is skipping what verifies; a change of any input has another key and can never meet a stale
row. One audit at a time writes into a folder.
"""

import hashlib
import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from quantmis.analysis.recall import Entry
from quantmis.audit.execution.work import Rows, Weights
from quantmis.errors import UserError
from quantmis.files import private_folder, write_atomically
from quantmis.models.weights import tensors_digest
from quantmis.tables.traits import VersionTraits

ROWS, WEIGHTS, MEASURES = "rows", "weights", "measures"
"""What training left, what models make of the samples, and what is made of loss tables: a folder each."""


class Damaged(Exception):  # noqa: N818 it says what the group is
    """Say that what is stored is not what was written."""


@dataclass(frozen=True)
class Choice:
    """Hold an engine kind, the seconds that a step of one model took by each, and why some could not be used."""

    kind: str
    seconds: dict[str, float]
    reasons: dict[str, str] = field(default_factory=dict[str, str])

    def checksum(self, task: str) -> str:
        """Return a hash of what is held, of that task."""
        return hashlib.sha256(json.dumps([task, self.kind, self.seconds, self.reasons]).encode()).hexdigest()


@dataclass(frozen=True)
class Store:
    """Keep weights, rows and measures in `folder` by key."""

    folder: Path

    @property
    def sources(self) -> Path:
        """Where it stands what was read of our own sources, which keys are made of."""
        return self.folder / "sources.json"

    def path(self, key: str, kind: str = ROWS) -> Path:
        """Return where the rows, or weights, of that key stand or would stand."""
        return self.folder / kind / f"{key}.safetensors"

    def save_rows(self, key: str, rows: Rows) -> None:
        """Write rows, whole or not at all; `UserError` where the disk refuses it."""
        tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in rows.arrays.items()}
        self._save(key, ROWS, tensors, _words(rows.outside, _as_metadata(rows.traits)))

    def save_weights(self, key: str, weights: Weights) -> None:
        """Write weights, whole or not at all; `UserError` where the disk refuses it."""
        self._save(key, WEIGHTS, weights.tensors, _words(weights.outside))

    def save_measures(self, key: str, entry: Entry) -> None:
        """Write what was computed of loss tables, whole or not at all; `UserError` where the disk refuses it."""
        tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in entry.arrays.items()}
        self._save(key, MEASURES, tensors, {"text": entry.text})

    def load_rows(self, key: str) -> Rows | None:
        """Return the rows of that key, or None where there are none; `Damaged` where they do not verify."""
        if (found := self._load(key, ROWS)) is None:
            return None
        tensors, words = found
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return Rows(arrays, _from_metadata(words["traits"]), json.loads(words["outside"]))

    def load_weights(self, key: str) -> Weights | None:
        """Return the weights of that key, or None where there are none; `Damaged` where they do not verify."""
        found = self._load(key, WEIGHTS)
        return None if found is None else Weights(found[0], json.loads(found[1]["outside"]))

    def load_measures(self, key: str) -> Entry | None:
        """Return what was computed of loss tables, or None where it was not; `Damaged` where it does not verify."""
        if (found := self._load(key, MEASURES, ("text",))) is None:
            return None
        return Entry(found[1]["text"], {name: tensor.numpy() for name, tensor in found[0].items()})

    def _save(self, key: str, kind: str, tensors: Mapping[str, Tensor], words: dict[str, str]) -> None:
        apart = _apart(tensors)
        metadata = {**words, "checksum": _checksum(f"{kind} {key}", apart, words)}
        path = self.path(key, kind)
        private_folder(self.folder)
        private_folder(path.parent)
        write_atomically(path, save(apart, metadata=metadata))

    def _load(
        self, key: str, kind: str, said: Sequence[str] = ("traits", "outside")
    ) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        path = self.path(key, kind)
        if not path.exists():
            return None
        if not path.is_file():
            raise Damaged(f"{path.name}: it is no file")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a mapping
            words = {name: metadata[name] for name in said}
            if metadata["checksum"] != _checksum(f"{kind} {key}", tensors, words):
                raise Damaged(f"{path.name}: its checksum does not match")
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise Damaged(f"{path.name}: {error}") from error
        return tensors, words

    def clear(self) -> None:
        """Remove all finished work, and which engine it was done by."""
        files = [each for kind in (ROWS, WEIGHTS, MEASURES) for each in (self.folder / kind).glob("*.safetensors")]
        for file in [*files, *self.folder.glob("*.way"), *self.folder.glob(self.sources.name)]:
            file.unlink()

    def remembered(self, task: str) -> Choice | None:
        """Return the engine kind by which models of that task were trained here before; a resumed audit keeps to it.

        What does not verify was not written by us, or not whole: then the kinds are timed again.
        """
        path = self._choice(task)
        try:
            record = json.loads(path.read_bytes())
            seconds = {str(kind): float(each) for kind, each in record["seconds"].items()}
            choice = Choice(str(record["way"]), seconds, dict(record.get("reasons", {})))
            return choice if record["checksum"] == choice.checksum(task) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            print(f"{path.name} is damaged: the engine kinds are timed again", file=sys.stderr)  # noqa: T201
            return None

    def remember(self, task: str, choice: Choice) -> None:
        """Write down the engine kind by which models of that task are trained, and what was measured."""
        private_folder(self.folder)
        content = {"way": choice.kind, "seconds": choice.seconds, "reasons": choice.reasons}
        content["checksum"] = choice.checksum(task)
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


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without gaps, of which no two share memory, as tied ones do: the format has no word for it."""
    apart, places = dict[str, Tensor](), set[int]()
    for name, tensor in tensors.items():
        own = tensor.contiguous()
        place = own.untyped_storage().data_ptr()
        apart[name] = own.clone() if place in places else own
        places.add(place)
    return apart


def _checksum(key: str, tensors: Mapping[str, Tensor], words: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps([key, words, tensors_digest(tensors)], sort_keys=True).encode()).hexdigest()


def _words(outside: Mapping[str, str], traits: str = "") -> dict[str, str]:
    return {"traits": traits, "outside": json.dumps(dict(outside), sort_keys=True)}


def _as_metadata(traits: list[VersionTraits]) -> str:
    """Write traits as JSON."""
    return json.dumps([asdict(each) for each in traits])


def _from_metadata(text: str) -> list[VersionTraits]:
    """Read traits written by `_as_metadata`."""
    return [VersionTraits(**each) for each in json.loads(text)]
