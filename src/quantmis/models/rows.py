"""From a model to its row of the loss table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from quantmis.data.loss_tables import NAMED
from quantmis.data.tokens import PADDING
from quantmis.errors import require
from quantmis.models.calling import users_errors
from quantmis.models.forms import scored_by_form
from quantmis.models.losses import Loss
from quantmis.models.precision import computing

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class LossRow:
    """Hold what one model makes of each sample: its loss, membership signal and, where known, worth and entropy.

    `named` holds further membership signals by name. `outputs`: the shape of what the model returns for a sample, None
    where only losses are known.
    """

    losses: Float[np.ndarray, " samples"]
    signals: Float[np.ndarray, " samples"]
    per_sample_utility: Float[np.ndarray, " samples"] | None
    entropy: Float[np.ndarray, " samples"] | None
    named: Mapping[str, Float[np.ndarray, " samples"]] = field(default_factory=dict[str, np.ndarray])
    outputs: tuple[int, ...] | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is known, by name; further signals as `named/min_k`."""
        tables = {name: getattr(self, name) for name in ("losses", "signals", "per_sample_utility", "entropy")}
        signals = {f"{NAMED}{name}": signal for name, signal in self.named.items()}
        return {name: values for name, values in tables.items() if values is not None} | signals


def row(
    module: nn.Module,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    name: str = "the model",
    samples_at_once: int | None = None,
    is_measured: Bool[np.ndarray, " samples"] | None = None,
) -> LossRow:
    """Return the row of `module` over inputs `x` [samples, ...] and targets `y` [samples, ...], in float32.

    The forward pass is the module's own, of `samples_at_once` where that is given. `is_measured`: the samples whose
    mean is the utility; without it no utility is computed. Raises `UserError` for whatever the module raises, and for
    outputs that are not finite.
    """
    return row_of(computed(module, x, name, samples_at_once), loss, y, is_measured, name)


def computed(module: nn.Module, x: Tensor, name: str = "the model", samples_at_once: int | None = None) -> Tensor:
    """Return the outputs of `module` for `x`, [samples, outputs]; `UserError` as `row` does."""
    with users_errors(f"{name} cannot compute the samples"):
        outputs = forward(module, x, samples_at_once)
    require(
        bool(torch.isfinite(outputs).all()),
        f"{name} returns outputs that are NaN or infinite",
        hint="the loss table takes finite losses only; leave this model or quantizer out",
    )
    return outputs


def row_of(
    outputs: Tensor,
    loss: Loss,
    y: Tensor,
    is_measured: Bool[np.ndarray, " samples"] | None = None,
    name: str = "the model",
) -> LossRow:
    """Return the row of a model by its `outputs` [samples, outputs]; the others are as `row` takes them.

    Raises `UserError` for what a loss of the user's own raises, and for losses and signals that are not finite.
    """
    with users_errors(f"{name} cannot compute the samples: the loss {loss.name} fails on its outputs"):
        loss_row = _loss_row(outputs, loss, y, None if is_measured is None else torch.from_numpy(is_measured))
    finite = bool(np.isfinite(loss_row.losses).all() and np.isfinite(loss_row.signals).all())
    hint = "scale the targets: a square that float32 cannot hold counts as infinite"
    require(finite, f"{name} has losses or signals that are NaN or infinite", hint=hint)
    return loss_row


def _loss_row(outputs: Tensor, loss: Loss, y: Tensor, measured: Tensor | None) -> LossRow:
    entropy = loss.entropy(outputs, y)
    return LossRow(
        losses=loss.losses(outputs, y).numpy(),
        signals=loss.signals(outputs, y).numpy(),
        per_sample_utility=None if measured is None else loss.utility_measured(outputs, y, measured).numpy(),
        entropy=None if entropy is None else entropy.numpy(),
        named={each: signal.numpy() for each, signal in loss.named(outputs, y).items()},
        outputs=tuple(outputs.shape[1:]),
    )


@torch.no_grad()
def forward(module: nn.Module, x: Tensor, samples_at_once: int | None = None) -> Tensor:
    """Return the outputs of `module` in evaluation mode, [samples, outputs], a chunk of samples at a time.

    A module may have a number `samples_at_once`, or `tokens_at_once` of its inputs, that fits its memory. Sequences of
    like length go through it together, so that little of a chunk is filling. `samples_at_once`, where it is given,
    stands for these numbers. `x` stays as it is, whatever the module does to its inputs.
    """
    if x.ndim == 3 and getattr(module, "reading", None) is not None:
        return scored_by_form(lambda texts, surprise: _forward(module, texts, samples_at_once, surprise), x)
    return _forward(module, x, samples_at_once)


def _forward(module: nn.Module, x: Tensor, samples_at_once: int | None, surprise: Tensor | None = None) -> Tensor:
    module.eval()
    lengths = _lengths(x)
    order = lengths.argsort(descending=True, stable=True)
    chunks = _chunks(module, order, lengths, samples_at_once)
    with computing(module):
        outputs = torch.cat([_of_chunk(module, x, surprise, rows) for rows in chunks]).float()
    if len(outputs) != len(x):
        return outputs  # whoever asked says what is wrong with them
    return torch.empty_like(outputs).index_copy_(0, order, outputs)


def _of_chunk(module: nn.Module, x: Tensor, surprise: Tensor | None, rows: Tensor) -> Tensor:
    beside = {} if surprise is None else {"surprise": surprise[rows]}
    return module(x[rows], **beside)  # rows by number are copies


def _lengths(x: Tensor) -> Tensor:
    """Return the length of each sequence that is filled up, [samples]; of other inputs their numbers, the same."""
    if x.is_floating_point() or x.ndim < 2:
        return torch.full((len(x),), x[0].numel())
    return (x != PADDING).flatten(1).sum(1)


def _chunks(module: nn.Module, order: Tensor, lengths: Tensor, samples_at_once: int | None) -> Iterator[Tensor]:
    most = getattr(module, "tokens_at_once", None) if samples_at_once is None else None
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        own = samples_at_once or getattr(module, "samples_at_once", CHUNK)
        size = max(1, most // longest) if most else own
        yield order[start : start + size]
        start += size
