"""What an audit assumes of every model, tried on a few samples before anything is spent.

A loss table holds one number for a model and a sample. So a model must predict the same for a sample when it is asked
twice, alone and among other samples; its outputs must be what the loss takes them for; and a causal language model must
not see the tokens that it predicts. What does not hold is an error that names the layer, or the option that declares
it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantmis.data.tokens import PADDING, numbers
from quantmis.errors import UserError, require
from quantmis.models import streams
from quantmis.models.calling import users_errors
from quantmis.models.language import context_of, showing_logits, vocabulary_of
from quantmis.models.losses import CrossEntropy, Loss, MultiLabel
from quantmis.models.outputs import DECLARED, are_distributions, ends_in_sigmoid, log_probabilities, within_one
from quantmis.models.rows import CHUNK, forward
from quantmis.models.task import Task
from quantmis.models.text_statistics import STATISTICS
from quantmis.models.unsteady import first_unsteady

FEW = 8
"""Samples that a model is tried on."""

ASKED = 256
"""How often a model that draws at random is asked again: one that seldom drops a sample does so by then."""

PLACES = 7
"""Tokens of a text that are changed, one at a time, to see whether the model looks ahead."""

CLOSE = 1e-4
"""How far outputs of float32 may differ for reasons of rounding alone, of the largest of them."""

ROUNDINGS = 16
"""How many roundings of a shorter number format that is."""

PER_CENT = 100.0

AT_ONCE = "samples_at_once=1 (of qm.Task; samples_at_once = 1 in [model])"
ALONE = f"if it is asked for one sample at a time where it is used, {AT_ONCE} computes it so"
DRAWS = (
    "in evaluation mode nothing may be drawn at random: nn.functional.dropout(x, p, training=self.training), and noise "
    "only where self.training"
)
FUTURE = (
    "only what came before a token may decide what is predicted for it: a model of the kind of BERT or ELECTRA does so "
    "with config = { is_decoder = true }, and not every one can"
)


@dataclass(frozen=True)
class Steadiness:
    """Say what decides what a model predicts for a sample besides that sample.

    `draws`: chance. `by_company`: the samples beside it. `outputs` [samples, ...] are those of all samples together.
    """

    outputs: Tensor
    draws: bool
    by_company: bool


def require_sound(name: str, module: nn.Module, task: Task, x: Tensor) -> None:
    """Raise `UserError` unless what an audit assumes of a model holds of `module` on samples `x`, of the same task."""
    steady = steadiness(name, module, x, task.samples_at_once)
    _require_no_draws(name, module, x, steady)
    _require_no_company(name, module, x, steady.by_company)
    require_declared(name, module, task.loss, x, steady.outputs)
    require_causal(name, module, x)


def steadiness(
    name: str, module: nn.Module, x: Tensor, samples_at_once: int | None = None, typical: bool = False
) -> Steadiness:
    """Return whether `module` gives the same outputs for `x` again, in another order, and for samples alone.

    `typical`: whether most samples must differ, as of a quantized model, where one rounding of an activation may go
    either way; by default one is enough. Raises `UserError` for a module that takes no sample alone.
    """
    with streams.listening(module) as drawn:
        whole = forward(module, x, samples_at_once)
    close = _Close(module, whole, typical)
    by_company = False
    draws = any(drawn) and _differs(module, x, samples_at_once)
    if not draws and not close(forward(module, x.flip(0), samples_at_once).flip(0), whole):
        draws = not close(forward(module, x, samples_at_once), whole)
        by_company = not draws
    if not draws and not by_company:
        ends = [0, len(x) // 2, len(x) - 1]
        alone = [_alone(name, module, x[row : row + 1], samples_at_once, whole) for row in ends]
        by_company = not close(torch.cat(alone), whole[ends])
    return Steadiness(whole, draws, by_company)


def _differs(module: nn.Module, x: Tensor, samples_at_once: int | None) -> bool:
    """Whether `module`, which draws, ever gives other outputs for the same samples."""
    first = forward(module, x, samples_at_once)
    close = _Close(module, first, False)
    return not all(close(forward(module, x, samples_at_once), first) for _ in range(ASKED))


def few_of(x: Tensor) -> Tensor:
    """Return the samples of `x` [samples, ...] that a model is tried on, from all over them: the first may be alike.

    >>> few_of(torch.arange(71))
    tensor([ 0, 10, 20, 30, 40, 50, 60, 70])
    """
    return x[_places(len(x))]


def _places(samples: int) -> Tensor:
    return torch.linspace(0, samples - 1, min(FEW, samples)).round().long()


def require_alone(name: str, module: nn.Module, task: Task, x: Tensor, outputs: Tensor) -> None:
    """Raise `UserError` where `outputs`, those of all samples `x` together, are others for a few of them by themselves.

    A model may behave otherwise among many: one that looks at the batch only where it is large, say.
    """
    different = differs_among(module, x, outputs, task.samples_at_once, typical=False)
    _require_no_company(name, module, x[:CHUNK], different)


def differs_among(
    module: nn.Module, x: Tensor, outputs: Tensor, samples_at_once: int | None, typical: bool = True
) -> bool:
    """Whether `outputs`, those of all samples `x` together, are others for a few by themselves; see `steadiness`."""
    among = outputs[_places(len(x))]
    return not _Close(module, among, typical)(forward(module, few_of(x), samples_at_once), among)


def _require_no_company(name: str, module: nn.Module, x: Tensor, by_company: bool) -> None:
    if by_company:
        where = first_unsteady(module, x, (len(x) // 2, 1))
        raise UserError(f"{name} predicts something else for a sample beside other samples{where}", hint=ALONE)


@dataclass(frozen=True)
class Settled:
    """Hold how a version is computed: by `module`, `samples_at_once` where that is given.

    `by_company`: whether the samples beside a sample would matter otherwise.
    """

    module: nn.Module
    samples_at_once: int | None
    by_company: bool


def settled(name: str, module: nn.Module, task: Task, x: Tensor) -> Settled:
    """Return how a version that another tool made is computed, so that what an audit assumes holds of it.

    One whose predictions depend on the samples beside a sample, as with activations that are scaled by their largest,
    computes one sample at a time: as each of them would be asked for. One that returns probabilities where the task has
    logits, or the other way round, is turned into the other. Raises `UserError` for one that draws at random.
    """
    steady = steadiness(name, module, x, task.samples_at_once, typical=True)
    _require_no_draws(name, module, x, steady)
    require_causal(name, module, x)
    version = module
    _require_no_percentages(name, task.loss, steady.outputs)
    if isinstance(task.loss, CrossEntropy) and steady.outputs.ndim == 2:
        returned = "probabilities" if are_distributions(steady.outputs) else "logits"
        version = module if returned == task.loss.outputs else Converted(module, returned)
    else:
        require_declared(name, module, task.loss, x, steady.outputs)
    return Settled(version, 1 if steady.by_company else task.samples_at_once, steady.by_company)


class Converted(nn.Module):
    """Return the logits of a module that returns probabilities, or the other way round, as `returned` says."""

    def __init__(self, module: nn.Module, returned: str):
        super().__init__()
        self.module, self.returned = module, returned
        if hasattr(module, "samples_at_once"):
            self.samples_at_once = module.samples_at_once

    def forward(self, x: Tensor) -> Tensor:
        """Return the converted outputs, [samples, classes]."""
        outputs = self.module(x)
        return log_probabilities(outputs) if self.returned == "probabilities" else outputs.float().softmax(-1)


def require_declared(name: str, module: nn.Module, loss: Loss, x: Tensor, outputs: Tensor) -> None:
    """Raise `UserError` for probabilities where logits are declared, and for other numbers where probabilities are."""
    if not isinstance(loss, CrossEntropy | MultiLabel):
        return
    _require_no_percentages(name, loss, outputs)
    several = isinstance(loss, MultiLabel)
    what, last = ("they all lie in 0 to 1", "sigmoid") if several else ("every row sums to 1", "softmax")
    if loss.outputs == "logits":
        are_probabilities = _are_odds(module, x, outputs) if several else are_distributions(outputs)
        hint = f'say so: {DECLARED} of qm.Task, outputs = "probabilities" in [model]; or return logits, without {last}'
        require(not are_probabilities, f"{name} returns probabilities, not logits: {what}", hint=hint)
        return
    good = within_one(outputs) if several else are_distributions(outputs)
    ends = f"{float(outputs.min()):.3g} to {float(outputs.max()):.3g}"
    require(
        good,
        f"{name} is declared to return probabilities, and returns numbers from {ends}: not {what}",
        hint=f"leave {DECLARED} out where a model returns logits",
    )


def _require_no_percentages(name: str, loss: Loss, outputs: Tensor) -> None:
    percentages = isinstance(loss, CrossEntropy) and are_distributions(outputs / PER_CENT)
    hint = f"divide them by 100 and say so: {DECLARED} of qm.Task; or return logits, without softmax"
    require(not percentages, f"{name} returns probabilities in per cent: every row sums to 100", hint=hint)


def _are_odds(module: nn.Module, x: Tensor, outputs: Tensor) -> bool:
    """Whether the outputs of several labels are probabilities: by what computes them, where that can be seen."""
    elsewhere = not any(True for _ in module.parameters())
    return within_one(outputs) and (elsewhere or ends_in_sigmoid(module, x))


@torch.no_grad()
def require_causal(name: str, module: nn.Module, x: Tensor) -> None:
    """Raise `UserError` where a later token of a text changes what a language model predicts for an earlier one.

    Models that show no logits, as those of other runtimes, are not asked.
    """
    if getattr(module, "reading", None) is None:
        return
    tokens = _longest_text(x, context_of(module.config))  # pyright: ignore[reportArgumentType]
    longest = tokens.shape[1]
    places = sorted(
        {*range(1, longest)} if longest <= PLACES else {1, 2, 3, longest // 2, *range(longest - 3, longest)}
    )
    edits = tokens.repeat(len(places), 1)
    lines = torch.arange(len(places))
    edits[lines, places] = (edits[lines, places] + 1) % vocabulary_of(module)
    with showing_logits(module):
        module.eval()
        before = module(tokens.clone()).float()
        after = module(edits).float()
    close = _Close(module, before, False)
    same = all(close(after[line : line + 1, :place], before[:, :place]) for line, place in enumerate(places))
    require(same, f"{name} is no causal language model: a later token changes what it predicts before", hint=FUTURE)


def _longest_text(x: Tensor, context: int | None) -> Tensor:
    """Return the start of the longest text, as one of [texts, tokens], as much as a model reads at once."""
    own = numbers(x if x.ndim == 2 else x[:, 0])
    longest = max(own, key=lambda text: int((text != PADDING).sum()))
    return longest[longest != PADDING][None, : context or None].clone()


def _alone(name: str, module: nn.Module, x: Tensor, samples_at_once: int | None, whole: Tensor) -> Tensor:
    """Return the outputs of a single sample; `whole` are those of several."""
    with users_errors(f"{name} takes no sample alone", "predictions must not depend on the samples beside a sample"):
        outputs = forward(module, x, samples_at_once)
    require(
        outputs.shape == (1, *whole.shape[1:]),
        f"{name} returns {list(outputs.shape)} for a sample alone, and {list(whole.shape)} for {len(whole)}",
        hint="squeeze() drops the dimension of the samples too: name the one that is meant, as in squeeze(-1)",
    )
    return outputs


def _require_no_draws(name: str, module: nn.Module, x: Tensor, steady: Steadiness) -> None:
    if steady.draws:
        where = first_unsteady(module, x, (len(x),) * ASKED)
        raise UserError(
            f"{name} predicts something else for the same samples when it is asked again{where}", hint=DRAWS
        )


class _Close:
    """Compare outputs [samples, ...], of like rows, but for rounding in the coarsest number format of a module."""

    def __init__(self, module: nn.Module, outputs: Tensor, typical: bool):
        kinds = {each.dtype for each in (*module.parameters(), *module.buffers()) if each.is_floating_point()}
        coarsest = max((torch.finfo(kind).eps for kind in kinds), default=0.0)
        self._size, self._typical = _size(module, outputs), typical
        self._most = max(CLOSE, ROUNDINGS * coarsest)

    def __call__(self, one: Tensor, other: Tensor) -> bool:
        if one.shape != other.shape:
            return False
        same = (one == other) | (one.isnan() & other.isnan())
        apart = torch.where(same, 0.0, (one - other).abs() / self._size).reshape(len(one), -1).amax(1)
        return bool((apart.median() if self._typical else apart.max()) <= self._most)


def _size(module: nn.Module, outputs: Tensor) -> Tensor:
    """Return the size of outputs, the largest of them; of texts an ending's, which is a sum, is its own."""
    sizes = outputs.abs().nan_to_num()
    if getattr(module, "reading", None) is None or sizes.ndim != 2:
        return sizes.max() if sizes.numel() else torch.tensor(0.0)
    is_sum = torch.arange(sizes.shape[1]) == STATISTICS.index("ending")
    return torch.where(is_sum, sizes.amax(0), sizes[:, ~is_sum].max())
