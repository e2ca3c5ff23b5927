"""Fill the loss tables: train each group of models, put every model through every quantizer, keep its losses.

There is one table per quantizer, over the same models and the same samples. Its columns are all the samples of the
audit: those that models were trained on, and those held out from all, which no row has as members.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from quantmis import seeds
from quantmis.audit.progress import Stages
from quantmis.data.samples import Samples
from quantmis.evidence import Evidence
from quantmis.models import Task, training
from quantmis.models.rows import Row, row
from quantmis.quantizers import Quantizer
from quantmis.registry import spelling
from quantmis.results import write_atomically


@dataclass(frozen=True)
class Traits:
    """Hold what a quantizer did to one model, besides its losses."""

    fingerprint: str
    bits_per_weight: float
    sparsity: float
    weights: int
    untouched: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Table:
    """Hold one quantizer's loss table over all samples, what predictions are worth, and the traits of each model."""

    name: str
    evidence: Evidence
    worth: Float[np.ndarray, "models samples"]
    metric: str
    traits: tuple[Traits, ...]

    @property
    def path(self) -> str:
        """Where the table is saved, relative to results.json."""
        return f"tables/{re.sub('[^a-z0-9.]+', '_', self.name.lower()).strip('_')}.npz"

    @property
    def audited(self) -> Evidence:
        """The columns that models were trained on: where attacks are tried."""
        return self.evidence.columns(self._shown())

    @property
    def held_out(self) -> Evidence:
        """The columns that no model was trained on: where the indicator and the utility are measured."""
        return self.evidence.columns(~self._shown())

    @property
    def held_out_worth(self) -> Float[np.ndarray, "models samples"]:
        """What predictions on held-out samples are worth."""
        return self.worth[:, ~self._shown()]

    def _shown(self) -> Bool[np.ndarray, " samples"]:
        return np.any(self.evidence.member, axis=0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is saved of the table, by name; a quantity that the task does not have is absent."""
        evidence = self.evidence
        arrays = {
            "losses": evidence.losses,
            "member": evidence.member,
            "signal": evidence.signal,
            "entropy": evidence.entropy,
            "label": evidence.label,
            "worth": self.worth,
            "fingerprint": np.array([traits.fingerprint for traits in self.traits]),
        }
        return {name: array for name, array in arrays.items() if array is not None}

    def digest(self) -> str:
        """Return the SHA-256 of the saved arrays, in hexadecimal."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write the table below `folder`, whole or not at all, as a NumPy archive without pickles."""
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **self.arrays())
        path = folder / self.path
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, stream.getvalue())


def fill(
    task: Task,
    samples: Samples,
    member: Bool[np.ndarray, "models samples"],
    quantizers: Sequence[Quantizer],
    seed: int,
    engine: training.Engine,
    stages: Stages,
) -> list[Table]:
    """Train a model per row of `member`, quantize it in every way, and return the tables in that order.

    Raises `UserError` naming the seed address of a model that diverges, or the quantizer whose outputs are not finite.
    """
    steps = task.recipe.steps(int(member[0].sum()))
    trained = stages.stage("train", len(member) * steps)
    filled = stages.stage("quantize", len(member) * len(quantizers))
    rows: list[list[tuple[Row, Traits]]] = [[] for _ in quantizers]
    for indices, modules in training.train(task, samples, member, seed, engine, trained):
        for index, module in zip(indices, modules, strict=True):
            for table, entry in zip(rows, _rows(task, samples, module, index, quantizers, seed), strict=True):
                table.append(entry)
                filled(1)
    return [
        _table(spelling(quantizer), entries, member, task, samples)
        for quantizer, entries in zip(quantizers, rows, strict=True)
    ]


def _rows(
    task: Task, samples: Samples, module: nn.Module, index: int, quantizers: Sequence[Quantizer], seed: int
) -> Iterator[tuple[Row, Traits]]:
    x, y = torch.from_numpy(samples.x), task.loss.targets(samples.y)
    for quantizer in quantizers:
        name = spelling(quantizer)
        stream = torch.Generator().manual_seed(seeds.integer(seed, "shadow", index, "quantize", name))
        quantized = quantizer.quantize(module, generator=stream)
        traits = Traits(
            quantized.fingerprint,
            quantized.bits_per_weight,
            quantized.sparsity,
            quantized.weights,
            quantized.untouched,
        )
        yield row(quantized.model, task.loss, x, y, name=f"{seeds.spell('shadow', index)} after {name}"), traits


def _table(name: str, entries: list[tuple[Row, Traits]], member: np.ndarray, task: Task, samples: Samples) -> Table:
    rows = [entry for entry, _ in entries]
    entropies = [entry.entropy for entry in rows if entry.entropy is not None]
    evidence = Evidence(
        losses=np.stack([entry.losses for entry in rows]),
        member=member,
        signal=np.stack([entry.signals for entry in rows]),
        entropy=np.stack(entropies) if entropies else None,
        label=task.loss.classes(samples.y),
    )
    worth = np.stack([entry.worth for entry in rows])
    return Table(name, evidence, worth, task.loss.metric, tuple(traits for _, traits in entries))
