"""The unit of an audit: train one group of models, put each through every quantizer, keep its rows of the tables.

A group is a pure function of the work and its place in it, so it can be computed anywhere, in any order, twice, or
not at all where the store already holds it. Its `key` is the hash of everything that its rows depend on.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

import quantmis
from quantmis import seeds
from quantmis.audit.execution.code_hash import code_hash
from quantmis.data import canaries
from quantmis.data.samples import Samples
from quantmis.models import CausalLM, Task
from quantmis.models.engine import Engine
from quantmis.models.extraction import extracted
from quantmis.models.rows import row
from quantmis.models.task import inputs
from quantmis.models.training import Tick, Training, train
from quantmis.quantizers import Quantized, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling

ROOMS = ("seeds.py", "evidence.py", "data", "models", "quantizers", "audit/execution/work.py")
"""The code that decides what stands in a row."""


EXTRACTED = "extracted/"
"""What the names of arrays begin with that say which canaries a language model says by heart."""

CALIBRATION = 256
"""Samples that quantizers which look at data are given."""
CALIBRATE_ON = ("held_out", "members")
"""Where they come from: members of no model, the same for all; or members of the very model, which may leak them."""


@dataclass(frozen=True)
class Traits:
    """Hold what a quantizer did to one model, besides its losses; None is not known of a version made elsewhere."""

    fingerprint: str
    bits_per_weight: float | None
    sparsity: float | None
    weights: int | None
    untouched: list[str]

    @classmethod
    def of(cls, quantized: Quantized) -> "Traits":
        """Return the traits that a record shows."""
        return cls(
            quantized.fingerprint,
            quantized.bits_per_weight,
            quantized.sparsity,
            quantized.weights,
            list(quantized.untouched),
        )


@dataclass(frozen=True, eq=False)
class Group:
    """Hold the rows of a group of models, per quantizer: arrays by name, and the traits of each model.

    `arrays["2.losses"]` [models, samples] belongs to the third quantizer; "2.earlier" [models * checkpoints, held out]
    holds the losses of checkpoints, a model's in one piece. `arrays["weights/3/name"]` are weights of model 3, if kept.
    """

    arrays: dict[str, np.ndarray]
    traits: list[list[Traits]]


@dataclass(frozen=True, eq=False)
class Work:
    """Say what an audit computes: rows for each model of `member` [models, samples] and each quantizer.

    `checkpoints`: optimiser steps at which replicates (the first `replicates` models) also yield candidates for the
    indicator. `keep_weights`: whether the weights of the full-precision models are kept. `canaries`: how many samples,
    the last, are canaries, and `repeats` [samples] how often each stands in the training sets that it is in.
    `calibrate_on`: one of `CALIBRATE_ON`.
    """

    task: Task
    samples: Samples
    member: Bool[np.ndarray, "models samples"]
    quantizers: tuple[Quantizer, ...]
    seed: int
    engine: Engine
    checkpoints: tuple[int, ...] = ()
    replicates: int = 0
    keep_weights: bool = False
    canaries: int = 0
    calibrate_on: str = "held_out"
    repeats: Int[np.ndarray, " samples"] | None = None

    @property
    def steps(self) -> int:
        """The optimiser steps of one model."""
        return self.task.steps(len(self.training(range(1)).rows(0)))

    @property
    def expected(self) -> float | None:
        """About how many seconds the trainings will take, by the timings that the engine was chosen by, if any."""
        step = self.engine.seconds.get(self.engine.kind)
        return None if step is None else step * self.steps * len(self.member)

    def training(self, rows: range) -> Training:
        """Return the training of the models of a group."""
        return Training(
            self.task,
            self.samples,
            self.member[rows.start : rows.stop],
            rows,
            self.seed,
            self.engine.kind,
            self.checkpoints,
            self.repeats,
        )

    @property
    def planted(self) -> Int[np.ndarray, " canaries"]:
        """The columns of the canaries that models are trained on."""
        behind = np.arange(len(self.samples) - self.canaries, len(self.samples))
        return behind[np.any(self.member[:, behind], axis=0)]

    @property
    def is_held_out(self) -> Bool[np.ndarray, " samples"]:
        """The samples that no model is trained on: not those that are like the canaries."""
        behind = np.arange(len(self.samples)) >= len(self.samples) - self.canaries
        return ~np.any(self.member, axis=0) & ~behind

    def groups(self) -> list[range]:
        """Return the rows of each group."""
        size, models = self.engine.group, len(self.member)
        return [range(start, min(start + size, models)) for start in range(0, models, size)]

    def key(self, rows: range) -> str:
        """Return the hash of everything that the rows of a group depend on."""
        modules = [self.task.build(seeds.integer(self.seed, "shadow", index, "weights")) for index in rows]
        parts = [
            self._common,
            _digest(self.member[rows.start : rows.stop].tobytes(), str(rows).encode()),
            _digest(*(_state(module) for module in modules)),
            _classes(modules[0]),
        ]
        return _digest(*(part.encode() for part in parts))

    @functools.cached_property
    def _common(self) -> str:
        words = {
            "code": _code(),
            "versions": [version("torch"), version("numpy")],
            "samples": self.samples.digest(),
            "loss": spelling(self.task.loss),
            "recipe": self.task.describe_recipe(),
            "functions": [code_hash(self.task.model), code_hash(self.task.recipe), code_hash(self.task.loss)],
            "quantizers": [[spelling(each), code_hash(each)] for each in self.quantizers],
            "seed": self.seed,
            "engine": [self.engine.kind, self.engine.threads],
            "checkpoints": [*self.checkpoints, self.replicates, self.keep_weights],
            "calibrate on": [self.calibrate_on, CALIBRATION],
            "repeats": None if self.repeats is None else self.repeats.tolist(),
        }
        return _digest(json.dumps(words).encode())


def compute(work: Work, rows: range, tick: Tick = lambda done: None) -> Group:
    """Train the models of `rows`, quantize each in every way, and return their rows.

    Raises `UserError` naming the seed address of a model that diverges, or the quantizer whose outputs are not finite.
    """
    torch.set_num_threads(work.engine.threads)
    table = _Filler(work, rows)
    modules = train(work.training(rows), tick, keep=table.checkpoint)
    return table.finish(modules)


class _Filler:
    """Gather the rows of a group as its models reach their checkpoints and their end."""

    def __init__(self, work: Work, rows: range):
        self._work, self._rows = work, rows
        self._inputs = inputs(work.samples), work.task.loss.targets(work.samples.y)
        held_out = torch.from_numpy(work.is_held_out)
        self._held_out = self._inputs[0][held_out], self._inputs[1][held_out]
        self._earlier: dict[tuple[int, int], list[np.ndarray]] = {}

    def checkpoint(self, step: int, modules: list[nn.Module]) -> None:
        """Put the replicates among `modules` through every quantizer and keep their losses on held-out samples."""
        chosen = {index: module for index, module in zip(self._rows, modules, strict=True) if self._compares(index)}
        modes = [module.training for module in chosen.values()]
        for number in range(len(self._work.quantizers)):
            for index, (quantized, name) in zip(chosen, self._quantized(number, chosen, step), strict=True):
                losses = row(quantized.model, self._work.task.loss, *self._held_out, name=name).losses
                self._earlier.setdefault((number, index), []).append(losses)
        for module, mode in zip(chosen.values(), modes, strict=True):
            module.train(mode)

    def finish(self, modules: list[nn.Module]) -> Group:
        """Return the rows of the trained `modules`."""
        trained = dict(zip(self._rows, modules, strict=True))
        arrays: dict[str, np.ndarray] = {}
        traits: list[list[Traits]] = []
        for number in range(len(self._work.quantizers)):
            entries = [self._entry(*each) for each in self._quantized(number, trained)]
            arrays |= {f"{number}.{name}": value for name, value in _stacked([each for each, _ in entries]).items()}
            traits.append([each for _, each in entries])
            earlier = [losses for index in self._rows for losses in self._earlier.get((number, index), [])]
            if earlier:
                arrays[f"{number}.earlier"] = np.stack(earlier)
        if self._work.keep_weights:
            for index, module in trained.items():
                arrays |= {f"weights/{index}/{name}": value.numpy() for name, value in module.state_dict().items()}
        return Group(arrays, traits)

    def _compares(self, index: int) -> bool:
        return index < self._work.replicates

    def _quantized(
        self, number: int, modules: dict[int, nn.Module], step: int | None = None
    ) -> Iterator[tuple[Quantized, str]]:
        """Yield what a quantizer makes of each model, all at once, and what it is called in messages."""
        if not modules:
            return
        quantizer = self._work.quantizers[number]
        name = spelling(quantizer)
        calibration = [self._calibration(index) for index in modules] if needs_calibration(quantizer) else None
        addresses = [("shadow", index, "quantize", name, *([] if step is None else [step])) for index in modules]
        streams = [torch.Generator().manual_seed(seeds.integer(self._work.seed, *each)) for each in addresses]
        made = quantizer.quantize_many([module.cpu() for module in modules.values()], calibration, streams)
        for index, quantized in zip(modules, made, strict=True):
            yield quantized, f"{seeds.spell('shadow', index)} after {name}"

    def _calibration(self, index: int) -> Tensor:
        """Return the inputs that the quantizers of model `index` look at, as many from wherever they come."""
        held_out = self._held_out[0][:CALIBRATION]
        if self._work.calibrate_on == "held_out":
            return held_out
        member = self._work.member[index, : self._work.member.shape[1] - self._work.canaries]
        draw = seeds.generator(self._work.seed, "shadow", index, "calibration")
        return self._inputs[0][torch.from_numpy(draw.permutation(np.flatnonzero(member))[: len(held_out)])]

    def _entry(self, quantized: Quantized, name: str) -> tuple[dict[str, np.ndarray], Traits]:
        """Return the row of one quantized model, by the names of its arrays, and its traits."""
        found = row(quantized.model, self._work.task.loss, *self._inputs, name=name)
        return found.arrays() | self._extracted(quantized.model, name), Traits.of(quantized)

    def _extracted(self, model: nn.Module, name: str) -> dict[str, np.ndarray]:
        """Return which canaries among texts a language model says by heart, where there are any."""
        columns = torch.from_numpy(self._work.planted)
        if not len(columns) or not isinstance(self._work.task.loss, CausalLM):
            return {}
        texts = self._inputs[0][columns].flatten(1)[:, : canaries.LENGTH]
        stream = torch.Generator().manual_seed(seeds.integer(self._work.seed, "extraction", name))
        hits = extracted(model, texts, canaries.PREFIX, stream)
        return {f"{EXTRACTED}{decoding}": hit for decoding, hit in hits.items()}


def _stacked(rows: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([each[name] for each in rows]) for name in rows[0]}


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _state(module: nn.Module) -> bytes:
    values = module.state_dict().items()
    return repr(module).encode() + b"".join(name.encode() + value.cpu().numpy().tobytes() for name, value in values)


@functools.cache
def _code() -> str:
    """Return the hash of our own code that decides what stands in a row."""
    home = Path(quantmis.__file__).parent
    files = sorted(
        file for room in ROOMS for file in ([home / room] if room.endswith(".py") else (home / room).rglob("*.py"))
    )
    return _digest(*(file.read_bytes() for file in files))


def _classes(module: nn.Module) -> str:
    """Return the hash of the classes that a module is made of."""
    return _digest(*sorted({code_hash(type(part)).encode() for part in module.modules()}))


def as_metadata(traits: list[list[Traits]]) -> str:
    """Write traits as JSON."""
    return json.dumps([[asdict(each) for each in column] for column in traits])


def from_metadata(text: str) -> list[list[Traits]]:
    """Read traits written by `as_metadata`."""
    return [[Traits(**each) for each in column] for column in json.loads(text)]
