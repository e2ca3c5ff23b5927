"""From the weights that training reached to the rows of the tables: every model through every quantizer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from quantmis import seeds
from quantmis.audit.execution.in_turn import shipped_in_turn
from quantmis.audit.execution.outside import watched
from quantmis.audit.execution.trained import are_whole, restored, tensors_of
from quantmis.audit.execution.work import CALIBRATION, Group, Job, Rows, Weights, Work
from quantmis.data import canaries
from quantmis.models import CausalLM
from quantmis.models.extraction import extracted
from quantmis.models.probes import few_of, steadiness
from quantmis.models.rows import LossRow, row
from quantmis.models.task import inputs
from quantmis.models.training import Tick, train
from quantmis.quantizers import Labelled, MatchedNoise, Quantized, Quantizer, Supervision
from quantmis.quantizers.base import needs_calibration, needs_generator, needs_supervision
from quantmis.quantizers.in_place import Originals, quantized_in_place
from quantmis.registry import spelling
from quantmis.tables.loss_table import EXTRACTED
from quantmis.tables.traits import VersionTraits


def compute(work: Work, job: Job, tick: Tick = lambda done: None) -> Group:
    """Train the models of a group unless their weights are there, quantize each in every way, and return their rows.

    Raises `UserError` naming the seed address of a model that diverges, or the quantizer whose outputs are not finite.
    """
    torch.set_num_threads(work.engine.threads)
    table, weights = _Filler(work, job), job.weights
    with watched(work.scope) as observed:
        if weights is None:
            modules = train(work.training(job.rows), tick, keep=table.checkpoint)
            table.finish(dict(zip(job.rows, modules, strict=True)))
        else:
            for step in work.checkpoints:
                table.put(step, restored(work, weights, table.replicates, step))
            table.finish(restored(work, weights, job.rows))
            tick(len(job.rows) * work.steps)
        outside = {**work.outside, **({} if weights is None else weights.outside), **observed.digests()}
    return table.group(outside)


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Hold what a quantizer that draws nothing made of models last, which the noise of its size follows."""

    number: int
    versions: list[Quantized]


class _Filler:
    """Gather the rows of a group as its models reach their checkpoints and their end, and weights that are kept."""

    def __init__(self, work: Work, job: Job):
        self._work, self._job = work, job
        self._inputs = inputs(work.samples), work.task.loss.targets(work.samples.y)
        held_out = torch.from_numpy(work.is_held_out)
        self._held_out = self._inputs[0][held_out], self._inputs[1][held_out]
        self._fitted = torch.from_numpy(np.flatnonzero(work.is_fitted))
        self._earlier: dict[tuple[int, int], list[np.ndarray]] = {}
        self._versions: dict[int, Rows] = {}
        self._keeps = work.keeps_weights and job.weights is None
        self._tensors: dict[str, Tensor] = {}
        self._are_whole = True
        self._rounded: _Rounded | None = None

    @property
    def replicates(self) -> list[int]:
        """The models of the group whose checkpoints count."""
        return [index for index in self._job.rows if index < self._work.replicates]

    def checkpoint(self, step: int, modules: list[nn.Module]) -> None:
        """Keep what the replicates among `modules` are after a step of their training."""
        models = dict(zip(self._job.rows, modules, strict=True))
        models = {index: models[index] for index in self.replicates}
        if self._keeps:
            self._tensors |= tensors_of(self._work, models, step)
        self.put(step, models)

    def put(self, step: int, models: dict[int, nn.Module]) -> None:
        """Put models at a checkpoint through every quantizer and keep their losses on held-out samples."""
        for version in self._versions_of(models, step):
            losses = self._row(version, self._held_out, None)[0].losses
            self._earlier.setdefault((version.number, version.index), []).append(losses)

    def finish(self, models: dict[int, nn.Module]) -> None:
        """Compute the rows of the trained models."""
        if self._keeps:
            self._tensors |= tensors_of(self._work, models)
            self._are_whole = are_whole(self._work, self._tensors, models)
        found = {(version.number, version.index): self._entry(version) for version in self._versions_of(models)}
        for number in self._job.quantizers:
            entries = [found[number, index] for index in models]
            arrays = _stacked([each for each, _ in entries])
            earlier = [losses for index in self._job.rows for losses in self._earlier.get((number, index), [])]
            if earlier:
                arrays["earlier"] = np.stack(earlier)
            self._versions[number] = Rows(arrays, [each for _, each in entries])

    def group(self, outside: Mapping[str, str]) -> Group:
        """Return all that was gathered; `outside`: what was read beside the arguments."""
        versions = {number: replace(rows, outside=outside) for number, rows in self._versions.items()}
        weights = Weights(self._tensors, outside) if self._keeps and self._are_whole else None
        return Group(versions, weights, self._are_whole)

    def _versions_of(self, models: dict[int, nn.Module], step: int | None = None) -> Iterator["_Version"]:
        """Yield each version of each model, to be used before the next."""
        if self._work.task.is_language:
            yield from shipped_in_turn(self._work, models, partial(self._in_place, step))
        else:
            merged = {index: self._work.task.merge_adapters(module).cpu() for index, module in models.items()}
            for number in self._in_turn() if models else ():
                yield from self._all_at_once(number, merged, step)

    def _in_place(self, step: int | None, index: int, module: nn.Module, own: Originals) -> Iterator["_Version"]:
        """Yield what each quantizer makes of a model, in its place."""
        for number in self._job.quantizers:
            quantizer = self._work.quantizers[number]
            shown = self._shown(quantizer, index) if needs_calibration(quantizer) else None
            stream = self._stream(quantizer, index, step)
            with quantized_in_place(quantizer, module, own, shown, stream) as quantized:
                yield _Version(number, index, quantized, quantizer)

    def _all_at_once(self, number: int, models: dict[int, nn.Module], step: int | None) -> Iterator["_Version"]:
        """Yield what a quantizer makes of copies of each model."""
        quantizer = self._work.quantizers[number]
        shown = [self._shown(quantizer, index) for index in models] if needs_calibration(quantizer) else None
        streams = [self._stream(quantizer, index, step) for index in models]
        versions = self._versions_by(number, list(models.values()), shown, streams)
        for index, quantized in zip(models, versions, strict=True):
            yield _Version(number, index, quantized, quantizer)

    def _stream(self, quantizer: Quantizer, index: int, step: int | None) -> torch.Generator:
        address = ("shadow", index, "quantize", spelling(quantizer), *([] if step is None else [step]))
        return torch.Generator().manual_seed(seeds.integer(self._work.seed, *address))

    def _shown(self, quantizer: Quantizer, index: int) -> Tensor | Supervision:
        """Return what a quantizer of model `index` looks at: inputs, or its own members and what it is fitted to."""
        if not needs_supervision(quantizer):
            return self._calibration(index)
        rows = torch.from_numpy(np.flatnonzero(self._work.member[index]))
        return Supervision(Labelled(*self._inputs, rows), Labelled(*self._inputs, self._fitted), self._work.task.loss)

    def _in_turn(self) -> list[int]:
        """Return the numbers of the quantizers, each followed by that of the noise of its size."""
        numbers = list[int]()
        for number in self._job.quantizers:
            own = [number, *(each for each in self._job.quantizers if self._is_noise_of(each, number))]
            numbers += [each for each in own if each not in numbers]
        return numbers

    def _is_noise_of(self, noise: int, number: int) -> bool:
        quantizer = self._work.quantizers[noise]
        return isinstance(quantizer, MatchedNoise) and quantizer.of == self._work.quantizers[number]

    def _versions_by(
        self,
        number: int,
        models: list[nn.Module],
        shown: list[Tensor | Supervision] | None,
        streams: list[torch.Generator],
    ) -> list[Quantized]:
        """Return the versions of models by a quantizer; noise is laid about what was rounded just before."""
        quantizer, before = self._work.quantizers[number], self._rounded
        self._rounded = None
        if isinstance(quantizer, MatchedNoise) and before is not None and self._is_noise_of(number, before.number):
            return quantizer.around(models, before.versions, shown, streams)
        del before  # it would stay in memory
        versions = quantizer.quantize_many(models, shown, streams)
        is_sure = not needs_generator(quantizer) and not is_foreign(quantizer)
        if is_sure and any(self._is_noise_of(each, number) for each in self._job.quantizers):
            self._rounded = _Rounded(number, versions)
        return versions

    def _calibration(self, index: int) -> Tensor:
        """Return the inputs that the quantizers of model `index` look at, as many from wherever they come."""
        held_out = self._held_out[0][:CALIBRATION]
        if self._work.calibrate_on == "held_out":
            return held_out
        member = self._work.member[index, : self._work.member.shape[1] - self._work.canaries]
        draw = seeds.generator(self._work.seed, "shadow", index, "calibration")
        return self._inputs[0][torch.from_numpy(draw.permutation(np.flatnonzero(member))[: len(held_out)])]

    def _entry(self, version: "_Version") -> tuple[dict[str, np.ndarray], VersionTraits]:
        """Return the row of one quantized model, by the names of its arrays, and its traits."""
        computed, by_company = self._row(version, self._inputs, self._work.is_held_out)
        said = self._extracted(version.quantized.model, version.name)
        return computed.arrays() | said, traits_of(version.quantized, by_company)

    def _row(
        self, version: "_Version", samples: tuple[Tensor, Tensor], is_measured: np.ndarray | None
    ) -> tuple[LossRow, bool]:
        """Return the row of a model, and whether company matters to it: then each sample is computed alone."""
        task, few, name, model = self._work.task, few_of(self._inputs[0]), version.name, version.quantized.model
        foreign = is_foreign(version.quantizer)
        by_company = foreign and steadiness(name, model, few, task.samples_at_once, typical=True).by_company
        at_once = 1 if by_company else task.samples_at_once
        return row(model, task.loss, *samples, name, at_once, is_measured), by_company

    def _extracted(self, model: nn.Module, name: str) -> dict[str, np.ndarray]:
        """Return which canaries among texts a language model says by heart, where there are any."""
        columns = torch.from_numpy(self._work.planted)
        if not len(columns) or not isinstance(self._work.task.loss, CausalLM):
            return {}
        texts = self._inputs[0][columns].flatten(1)[:, : canaries.LENGTH]
        stream = torch.Generator().manual_seed(seeds.integer(self._work.seed, "extraction", name))
        hits = extracted(model, texts, canaries.PREFIX, stream)
        return {f"{EXTRACTED}{decoding}": hit for decoding, hit in hits.items()}


@dataclass(frozen=True, eq=False)
class _Version:
    """Hold what a quantizer, by its `number` too, makes of the model `index` of the audit."""

    number: int
    index: int
    quantized: Quantized
    quantizer: Quantizer

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{seeds.spell('shadow', self.index)} after {spelling(self.quantizer)}"


def _stacked(rows: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([each[name] for each in rows]) for name in rows[0]}


def is_foreign(quantizer: Quantizer) -> bool:
    """Whether a quantizer, or one that it wraps, makes models that code of others computes."""
    wrapped = [value for value in vars(quantizer).values() if isinstance(value, Quantizer)]
    ours = quantizer.library is None and type(quantizer).__module__.startswith("quantmis.")
    return not ours or any(map(is_foreign, wrapped))


def traits_of(quantized: Quantized, by_company: bool = False) -> VersionTraits:
    """Return the traits that the record of a quantized model shows, and whether company matters to it."""
    return VersionTraits(
        quantized.fingerprint,
        quantized.bits_per_weight,
        quantized.sparsity,
        quantized.weights,
        list(quantized.untouched),
        by_company,
    )
