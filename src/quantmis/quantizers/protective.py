"""Let a model say less of its members: what the codes take from its weights is coarse, the rest is learnt elsewhere.

A version is a function of the weights and of whatever else it is fitted to. Here the weights are seen `through` a
coarser quantizer, and the finer codes are then learnt on held-out samples alone, by straight-through gradients (Bengio
et al. 2013, arXiv:1308.3432). By the data processing inequality no attack on the finer version gets more out of it than
the best attack on the coarse one that knows the held-out samples, however much of the utility comes back.

`weight` adds what members and held-out samples are told apart by to what is minimised, as in adversarial regularization
(Nasr et al. 2018, arXiv:1807.05852). That shows members to the fit, so that the inequality holds no longer, and an
attacker whose own models went through the same procedure was seen to gain by it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Literal

import torch
from jaxtyping import Int
from pydantic import InstanceOf
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Change, Generators, Quantizer, require_range, require_word
from quantmis.quantizers.calibrated import Calibrated
from quantmis.quantizers.calibration import evaluating
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.membership_gaps import GAPS, Form
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.straight_through import Fit, fitted
from quantmis.quantizers.supervision import Labelled, Supervision
from quantmis.quantizers.ternary import Ternary

BATCH = 128
THROUGH = Ternary(sparsity=0.8, per="channel")


@QUANTIZERS.add
@dataclass(frozen=True)
class Protective(Calibrated):
    """Learn the codes of `bits` bits on held-out samples, seeing the weights only `through` a coarser quantizer.

    The held-out loss plus `weight` times the `gap` between members and held-out samples is minimised for `iterations`
    steps: of their mean losses ("mean"), of their sorted log-odds ("log_odds"), or what the best small discriminator
    makes of these ("discriminator"). With `weight` 0, members are not looked at. `through=identity` sees the weights
    whole. Levels are those of `Uniform` on the weights seen. The held-out samples become as good as training data.

    >>> from quantmis.models.losses import CrossEntropy
    >>> from quantmis.quantizers.supervision import Labelled
    >>> x, y = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2
    >>> shown = Supervision(Labelled.of(x[:32], y[:32]), Labelled.of(x[32:], y[32:]), CrossEntropy())
    >>> quantized = Protective(bits=3, iterations=20).quantize(nn.Linear(8, 2), calibration=shown)
    >>> quantized.layers[0].levels
    8
    """

    bits: int = 3
    range: Literal["mse", "max", "percentile"] = "max"
    through: InstanceOf[Quantizer] = THROUGH
    weight: float = 0.0
    gap: Form = "mean"
    iterations: int = 200
    name: ClassVar[str] = "protective"
    needs_supervision: ClassVar[bool] = True

    def __post_init__(self):
        self.require_levels()
        require_range(self.name, "weight", self.weight, 0, 1e6)
        require_word(self.name, "gap", self.gap, tuple(GAPS))
        require_range(self.name, "iterations", self.iterations, 1, 100_000)
        whole = self.through.extra is not None or self.through.needs_supervision
        require(not whole, f"protective: {self.through.name} cannot stand before it", hint="ternary and uniform can")

    @property
    def looks_at_members(self) -> bool:
        """Whether the gap to members is part of what is minimised."""
        return self.weight > 0

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Refuse: inputs alone do not say what a loss is, nor who is a member."""
        raise UserError("protective is fitted to labels, and was given inputs alone")

    def apply_supervised(
        self, models: list[nn.Module], shown: list[Supervision], generators: Generators
    ) -> list[Change]:
        """Quantize models coarsely, then learn the codes of all of them, at once where their samples allow it."""
        reads = hasattr(models[0], "reading")
        require(not reads, "protective is for classifiers and regressions, not for language models")
        axes = {name: part.output_axis(layer) for name, layer in part.quantizable(models[0]).items()}
        self._see(models, shown, generators)
        weights = [{name: each.detach() for name, each in part.weights(model).items()} for model in models]
        layers = {name: self.levels().code(name, [each[name] for each in weights], axes[name]) for name in axes}
        records: list[tuple[QuantizedLayer, ...]] = []
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(evaluating(model))
            for own in _alike(shown):
                some = {name: each[own] for name, each in layers.items()}
                records += self._fitted(Fit(models[own], some, shown[own.start].inputs[:2]), shown[own])
        return [write_layers(model, record) for model, record in zip(models, records, strict=True)]

    def _see(self, models: list[nn.Module], shown: list[Supervision], generators: Generators) -> None:
        """Put into the models the weights that are seen of them."""
        coarse = self.through.quantize_many(models, [each.inputs for each in shown], generators)
        for model, each in zip(models, coarse, strict=True):
            part.write(model, {name: weight.detach() for name, weight in part.weights(each.model).items()})

    def _fitted(self, fit: Fit, shown: list[Supervision]) -> list[tuple[QuantizedLayer, ...]]:
        held_out, members, loss = [each.held_out for each in shown], [each.members for each in shown], shown[0].loss

        def aim(step: int, outputs: Callable[[Tensor], Tensor]) -> Tensor:
            x, y = _batch(held_out, step)
            if not self.weight:
                return loss.losses(outputs(x), y).mean(1)
            others, theirs = _batch(members, step)
            both = outputs(torch.cat([x, others], 1)).split([x.shape[1], others.shape[1]], 1)
            kind = loss.losses if self.gap == "mean" else loss.signals
            gap = GAPS[self.gap](kind(both[1], theirs), kind(both[0], y))
            return loss.losses(both[0], y).mean(1) + self.weight * gap

        return fitted(fit, aim, self.iterations)


def _alike(shown: list[Supervision]) -> Iterator[slice]:
    """Yield runs of models that are shown equally many samples, and so can be fitted at once."""
    start = 0
    for _, run in groupby(shown, lambda each: (len(each.members), len(each.held_out))):
        stop = start + len(list(run))
        yield slice(start, stop)
        start = stop


def _batch(samples: list[Labelled], step: int) -> tuple[Tensor, Tensor]:
    """Return the batch of a step, of each model's own samples: inputs and targets [models, batch, ...].

    The order of samples is drawn once, from a seed of its own, and batches follow one another in it.
    """
    count = len(samples[0])
    size = min(BATCH, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    places: Int[Tensor, " batch"] = order[(torch.arange(size) + step * size) % count]
    pairs = [each.at(places) for each in samples]
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
