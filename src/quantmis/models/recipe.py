"""How one model is trained: the hyper-parameters of mini-batch descent."""

import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR

from quantmis.errors import require
from quantmis.models.dp import DP

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "cosine", "linear"]
WHOLE = ("epochs", "batch_size", "warmup_steps", "max_steps", "lora_rank")


@dataclass(frozen=True)
class Recipe:
    """Say how one model is trained.

    `epochs` passes over its samples in mini-batches of `batch_size`, cut short after `max_steps` optimiser steps where
    that is given. `momentum` is that of SGD. The learning rate rises linearly over `warmup_steps` and then stays
    ("constant") or falls to 0 ("cosine", "linear"). `clip_norm` bounds the norm of each model's gradient.
    `label_smoothing` is that of the training objective; the losses of an audit are never smoothed. `lora_rank`:
    language models learn low-rank differences alone, scaled by `lora_alpha` / `lora_rank` (2 where nothing is said),
    which are merged into their weights at the end. `dp`: train with differential privacy, in batches of
    `batch_size` samples in expectation (`quantmis.models.dp`). Raises `UserError` for a number out of range.

    >>> Recipe(epochs=10, optimizer="sgd", learning_rate=0.1).steps(samples=100)
    40
    """

    epochs: int = field(default=30, metadata={"help": "Passes over the samples of one model."})
    batch_size: int = field(default=32, metadata={"help": "Samples of one step."})
    learning_rate: float = field(default=1e-3, metadata={"help": "The learning rate."})
    optimizer: Optimizer = field(default="adam", metadata={"help": "adam, adamw or sgd."})
    momentum: float = field(default=0.9, metadata={"help": "The momentum of sgd."})
    weight_decay: float = field(default=0.0, metadata={"help": "The weight decay."})
    schedule: Schedule = field(
        default="constant", metadata={"help": "What becomes of the learning rate: constant, cosine or linear."}
    )
    warmup_steps: int = field(default=0, metadata={"help": "Steps over which the learning rate rises."})
    clip_norm: float | None = field(
        default=None, metadata={"help": "The largest norm of a gradient; without limit by default."}
    )
    label_smoothing: float = field(default=0.0, metadata={"help": "The label smoothing of the training objective."})
    max_steps: int | None = field(
        default=None, metadata={"help": "Steps after which training ends, whatever the epochs."}
    )
    lora_rank: int | None = field(
        default=None, metadata={"help": "Of language models: the rank of the differences that alone are learnt."}
    )
    lora_alpha: float | None = field(
        default=None,
        metadata={"help": "What these differences are scaled by, over the rank; twice the rank by default."},
    )
    dp: DP | None = field(
        default=None, metadata={"help": "Differential privacy: what is guaranteed of each record, or how much noise."}
    )

    def __post_init__(self):
        for name in WHOLE:
            _whole(name, getattr(self, name))
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 1)
        _positive("learning_rate", self.learning_rate)
        _at_least("weight_decay", self.weight_decay, 0)
        _at_least("warmup_steps", self.warmup_steps, 0)
        _fraction("momentum", self.momentum)
        _fraction("label_smoothing", self.label_smoothing)
        _require_known("optimizer", self.optimizer, ("adam", "adamw", "sgd"))
        _require_known("schedule", self.schedule, ("constant", "cosine", "linear"))
        if self.clip_norm is not None:
            _positive("clip_norm", self.clip_norm)
        if self.max_steps is not None:
            _at_least("max_steps", self.max_steps, 1)
        if self.lora_rank is not None:
            _at_least("lora_rank", self.lora_rank, 1)
        if self.lora_alpha is not None:
            _positive("lora_alpha", self.lora_alpha)
            require(self.lora_rank, "lora_alpha scales what lora_rank learns", hint="give lora_rank too")
        require(
            self.dp is None or self.clip_norm is None,
            "clip_norm bounds the gradient of a whole batch, dp that of each sample",
            hint="leave clip_norm out and give dp its own",
        )

    def steps(self, samples: int) -> int:
        """Return the number of optimiser steps on that many samples."""
        whole = self.epochs * self.steps_per_epoch(samples)
        return whole if self.max_steps is None else min(whole, self.max_steps)

    def steps_per_epoch(self, samples: int) -> int:
        """Return the number of optimiser steps in one pass over that many samples."""
        return -(-samples // self.batch_size)

    def optimizer_over(self, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
        """Return torch's own optimiser; it works entry by entry, so that stacked models do not mix."""
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, rate, momentum=self.momentum, weight_decay=decay, fused=True)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(parameters, rate, weight_decay=decay, fused=True)

    def schedule_of(self, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """Return torch's own schedule for a training of that many steps."""
        return LambdaLR(optimizer, lambda step: self._rate(step, steps))

    def as_dict(self) -> dict[str, str | float | int | bool]:
        """Return the hyper-parameters by name; one that is not used is absent."""
        private = {} if self.dp is None else self.dp.as_dict()
        return {name: value for name, value in asdict(self).items() if value is not None and name != "dp"} | private

    def _rate(self, step: int, steps: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(steps - self.warmup_steps, 1)
        falling = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
        return max(falling[self.schedule], 0.0)


def _whole(name: str, value: Any) -> None:
    good = value is None or (not isinstance(value, bool) and isinstance(value, Integral))
    require(good, f"{name}: expected a whole number, got {value!r}", hint=_meaning(name))


def _meaning(name: str) -> str:
    """Return what a field of a recipe means, and what it is by default."""
    declared = next(each for each in fields(Recipe) if each.name == name)
    return f"{name}: {declared.metadata['help']} By default {declared.default}."


def _at_least(name: str, value: float, least: float) -> None:
    require(value >= least, f"{name}: expected at least {least}, got {value}", hint=_meaning(name))


def _positive(name: str, value: float) -> None:
    require(0 < value < math.inf, f"{name}: expected a positive number, got {value}", hint=_meaning(name))


def _fraction(name: str, value: float) -> None:
    require(0 <= value < 1, f"{name}: expected 0 to below 1, got {value}", hint=_meaning(name))


def _require_known(name: str, value: str, choices: tuple[str, ...]) -> None:
    require(value in choices, f"unknown {name} {value!r}", hint=f"known: {', '.join(choices)}")


def place_of(function: Any) -> str:
    """Return where a function is defined, or what a partial or an object that is called is one of."""
    inner = function.func if isinstance(function, functools.partial) else function
    definition = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{definition.__module__}:{definition.__qualname__}"
