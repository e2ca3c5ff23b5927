"""The model of a target in memory, once: its versions are made in it, one after the other, and undone."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from quantmis.audit.target.target import Target, Version
from quantmis.audit.target.weights import (
    Artefact,
    file_of,
    filled,
    format_of,
    from_file,
    in_memory,
    is_computed_elsewhere,
    rounds_inputs,
)
from quantmis.errors import require
from quantmis.models import Task
from quantmis.models.hugging_face import HuggingFace
from quantmis.models.probes import Settled, settled
from quantmis.models.several import taking
from quantmis.quantizers import Identity, Quantized, Quantizer, Supervision, formats
from quantmis.quantizers.base import method_of
from quantmis.quantizers.in_place import Originals, quantized_in_place
from quantmis.quantizers.perturbing import perturb
from quantmis.quantizers.quantized import plain


class OpenModel:
    """Hold the model of a target, read once, and its versions one at a time.

    `folder`: where the numbers of the model are written to while a version stands in their place; by default where
    temporary files are. Raises `UserError` where the weights do not fit the model of `task`.
    """

    def __init__(self, target: Target, task: Task, folder: Path | None = None):
        self._target, self._task, self._folder = target, task, folder
        self._settled: Settled | None = None

    @property
    def kind(self) -> str:
        """What kind of quantized model is given, or that it is in full precision."""
        return self._target.quantized or "in full precision"

    @cached_property
    def given(self) -> Quantized:
        """The model as it is given, in evaluation mode, and what is known of it but for the codes of its layers."""
        model = self._target.given(self._task)
        if isinstance(model, Quantized):
            return replace(model, model=self._placed(model.model), layers=(), others={}) if self.is_of_task else model
        return plain(method_of(Identity()), self._placed(model))

    def _placed(self, module: nn.Module) -> nn.Module:
        """Return a language model of transformers on the device, and in the number format, that the task names."""
        if not self._task.is_language or not hasattr(module, "reading"):
            return module
        return module.to(self._task.place, self._task.placement.format)

    @cached_property
    def module(self) -> nn.Module:
        """What quantizers of the audit are applied to: the model in full precision, or dequantized."""
        own = self.is_of_task or isinstance(self._target.weights, nn.Module)
        return self.given.model if own else self._placed(self._target.module(self._task))

    def settle(self, x: Tensor) -> Settled:
        """Find out on a few samples `x` how the model as it is given is computed: see `quantmis.models.probes`."""
        self._settled = settled(self._target.name, self.given.model, self._task, x)
        return self._settled

    def settled_so(self, module: nn.Module) -> Settled | None:
        """Return how a version is computed that is this very module with other numbers; None for any other."""
        return self._settled if module is self.given.model and isinstance(self._task.model, HuggingFace) else None

    @property
    def is_of_task(self) -> bool:
        """Whether the model as it is given is a plain module of the task, whose weights are numbers."""
        elsewhere = isinstance(self._target.weights, Quantized | nn.Module)
        weights = self._target.weights
        return not elsewhere and not is_computed_elsewhere(weights) and not rounds_inputs(weights)

    @cached_property
    def _originals(self) -> Originals:
        return Originals(self.module, _place(self._folder))

    def quantized(
        self, quantizer: Quantizer, calibration: Tensor | Supervision | None, generator: torch.Generator
    ) -> AbstractContextManager[Quantized]:
        """Let the module be what `quantizer` makes of it for a while, and say what that is."""
        return quantized_in_place(quantizer, self.module, self._originals, calibration, generator)

    @contextmanager
    def perturbed(self, generator: torch.Generator) -> Generator[nn.Module]:
        """Let the module have noise on its weights for a while; what quantizes it then quantizes that."""
        originals = self._originals
        perturb(self.module, generator)
        try:
            yield self.module
        finally:
            originals.put_back()

    @contextmanager
    def version(self, version: Version, name: str) -> Generator[nn.Module | Quantized]:
        """Let the module hold the numbers of a version that was made elsewhere, or give the module that computes it."""
        file = file_of(version.source)
        kind = None if file is None else format_of(file.path)
        in_float32 = all(each.dtype == torch.float32 for each in self.module.parameters())
        if file is None or kind is None or is_computed_elsewhere(file) or rounds_inputs(file) or not in_float32:
            other = opened(version, self._target, self._task, name)
            yield other if isinstance(other, Quantized) else self._placed(other)
            return
        keep = kind == formats.RECORD and not self._target.quantized
        originals = self._originals
        try:
            restored = formats.restore_into(self.module, file.path, file.rename or None, keep=keep)
            yield replace(restored, model=self._placed(restored.model), layers=(), others={})
        finally:
            originals.put_back()


def _place(folder: Path | None) -> Path | None:
    """Return a folder to write to on the disk of `folder`, which may not be there yet; None where there is none."""
    places = [] if folder is None else [folder, *folder.absolute().parents]
    there = next((each for each in places if each.is_dir()), None)
    return there if there is not None and os.access(there, os.W_OK) else None


def opened(version: Version, target: Target, task: Task, name: str) -> nn.Module | Quantized:
    """Return the module that computes as the version does, with its record where the version has one."""
    source = version.source
    if isinstance(source, Quantized):
        return replace(source, model=in_memory(source.model, task)) if task.layout is not None else source
    if isinstance(source, nn.Module):
        return in_memory(source, task)
    if isinstance(source, Mapping):
        return filled(task, source, name)
    if isinstance(source, str | Path | Artefact):
        trained = None if target.quantized else lambda: target.module(task)
        file = file_of(source)
        assert file is not None  # noqa: S101 for the type checker
        return from_file(file, task, name, trained)
    hint = (
        "give a module, a function from inputs to outputs, a state dict, the path of a file, or a loss table (Evidence)"
    )
    require(callable(source), f"{name}: expected a version, got {type(source).__name__}", hint=hint)
    return taking(_Computed(source), task.layout)  # pyright: ignore[reportArgumentType]


class _Computed(nn.Module):
    """Compute by a function of the user's."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self._function = function

    def forward(self, *arrays: Tensor, **named: Tensor) -> Tensor:
        """Return what the function returns, as a tensor."""
        return torch.as_tensor(self._function(*arrays, **named))
