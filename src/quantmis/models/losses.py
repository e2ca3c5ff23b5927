"""What a model's outputs mean at one sample: its loss, its membership signal, its worth.

Each loss works on outputs of any number of models at once, [..., samples, outputs], against the targets of the
samples. The signal is higher for members; its distribution over models should be near normal, because LiRA fits
normals to it. The worth is averaged over held-out samples into the utility of a model, higher is better.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.models.loss_checks import label_hint, require_labels, require_outputs
from quantmis.models.outputs import OUTPUTS, Outputs, log_odds, log_probabilities
from quantmis.registry import Registry, suggestion


class Loss(ABC):
    """Say how outputs are compared with targets; shapes are those of the module's first paragraph."""

    name: ClassVar[str]
    metric: ClassVar[str]

    @abstractmethod
    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Raise `UserError` unless outputs of shape `outputs` [samples, ...] can be compared with targets `y`."""

    @abstractmethod
    def targets(self, y: np.ndarray) -> Tensor:
        """Return the targets as the tensor that the other methods take."""

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss at each sample, [..., samples]; training minimises its mean."""

    @abstractmethod
    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the membership signal at each sample, [..., samples], higher = more member-like."""

    @abstractmethod
    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what each prediction is worth, [..., samples]; its mean over samples is the utility `metric`."""

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits that the model's outputs, of the same shape, stand for: by default themselves."""
        return outputs

    def utility_measured(self, outputs: Tensor, y: Tensor, is_measured: Tensor) -> Tensor:
        """Return what each prediction is worth, [..., samples], where the utility is the mean over `is_measured`.

        `is_measured` [samples], true for the samples that the utility is measured on: what a prediction is worth may
        depend on them, as R^2 does on the variance of their targets.
        """
        return self.per_sample_utility(outputs, y)

    def require_measurable(self, y: np.ndarray) -> None:  # noqa: B027 most can be measured on any sample
        """Raise `UserError` where no utility can be measured on samples of targets `y` [samples, ...]."""

    def objective(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what training minimises, a number: the mean loss."""
        return self.losses(outputs, y).mean()

    def entropy(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """Return the modified entropy at each sample, [..., samples], where the loss has one."""
        return None

    def named(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Return further membership signals at each sample by name, [..., samples], higher = more member-like."""
        return {}

    def named_signals(self, samples: Samples) -> tuple[str, ...]:
        """Return the names of the signals that `named` has for such samples."""
        return ()

    def without_models(self, samples: Samples) -> Samples:
        """Return of the samples what was made without any model: all of them, unless targets come from one."""
        return samples

    def weights(self, y: np.ndarray) -> np.ndarray | None:
        """Return how much each sample counts in the utility, [samples]; None for all alike."""
        return None

    def classes(self, y: np.ndarray) -> np.ndarray | None:
        """Return the class of each sample, [samples], where targets are classes."""
        return None


LOSSES: Registry[Loss] = Registry("loss", group="quantmis.losses")


@LOSSES.add
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Compare logits [samples, classes] with labels 0..classes-1.

    The signal is log(p_y / (1 - p_y)) (Carlini et al. 2022), computed from log-probabilities alone, so that a
    confident model does not round it to infinity. `outputs`: what the model returns, "logits" or "probabilities".
    """

    outputs: Outputs = "logits"
    name: ClassVar[str] = "cross_entropy"
    metric: ClassVar[str] = "accuracy"

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logarithms of probabilities, or the logits themselves."""
        return log_probabilities(outputs) if self.outputs == "probabilities" else outputs

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse soft labels, labels outside the outputs, and outputs that are no logits."""
        require(
            y.ndim == 1 and y.dtype.kind in "biu",
            f"cross_entropy expects one integer label per sample, got {y.dtype} of shape {y.shape}",
            hint=label_hint(y),
        )
        require_outputs(self.name, outputs, len(y), "classes")
        require_labels(y, outputs[1])

    def targets(self, y: np.ndarray) -> Tensor:
        """Return labels as 64-bit integers."""
        return torch.from_numpy(y.astype(np.int64))

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return -log p_y."""
        return -_log_probability(self.logits(outputs), y)

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return log p_y - log(1 - p_y) = z_y - logsumexp of the other logits."""
        logits = self.logits(outputs)
        return _pick(logits, y) - torch.logsumexp(_without(logits, y), -1)

    def entropy(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return -(1 - p_y) log p_y - sum over c != y of p_c log(1 - p_c) (Song & Mittal 2021, eq. 8)."""
        log_p = torch.log_softmax(self.logits(outputs), -1)
        log_rest = torch.log1p(-log_p.exp().clamp(max=1 - torch.finfo(log_p.dtype).eps))
        wrong = _without(log_p.exp() * log_rest, y, fill=0.0).sum(-1)
        return -(_pick(log_rest, y).exp() * _pick(log_p, y)) - wrong

    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return 1 where the largest logit is the label's."""
        return (outputs.argmax(-1) == y).to(outputs.dtype)

    def classes(self, y: np.ndarray) -> np.ndarray:
        """Return the labels themselves."""
        return y.astype(np.int64)


@LOSSES.add
@dataclass(frozen=True)
class SquaredError(Loss):
    """Compare real outputs with real targets, [samples] or [samples, outputs]; the signal is the negated loss."""

    name: ClassVar[str] = "mse"
    metric: ClassVar[str] = "r2"

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse outputs of another width than the targets, and targets that do not vary."""
        require(y.ndim <= 2, f"mse expects targets [samples] or [samples, outputs], got shape {y.shape}")
        width = 1 if y.ndim == 1 else y.shape[1]
        require_outputs(self.name, outputs, len(y), f"{width}", width)
        require(
            bool((np.ptp(y, axis=0) > 0).all()), "mse: a target is the same for every sample, there is nothing to learn"
        )

    def targets(self, y: np.ndarray) -> Tensor:
        """Return targets as float32 [samples, outputs]."""
        return torch.from_numpy(y.astype(np.float32).reshape(len(y), -1))

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the squared error, averaged over outputs."""
        return (outputs - y).square().mean(-1)

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the negated loss."""
        return -self.losses(outputs, y)

    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return 1 - squared error / variance of the targets, whose mean is R^2 on these samples."""
        return self.utility_measured(outputs, y, torch.ones(len(y), dtype=torch.bool))

    def utility_measured(self, outputs: Tensor, y: Tensor, is_measured: Tensor) -> Tensor:
        """Return 1 - squared error / variance of the targets that are measured, whose mean over these is R^2.

        Raises `UserError` where a measured target does not vary.
        """
        self.require_measurable(y[is_measured].numpy())
        variance = y[is_measured].var(0, correction=0)
        return 1 - ((outputs - y).square() / variance).mean(-1)

    def require_measurable(self, y: np.ndarray) -> None:
        """Refuse targets that do not vary: R^2 divides by their variance."""
        require(
            len(y) > 0 and bool((np.ptp(y, axis=0) > 0).all()),
            "mse: a target is the same for every sample that the utility is measured on, so there is no R^2",
            hint="hold more samples out, or give non-members whose targets differ",
        )


@LOSSES.add
@dataclass(frozen=True)
class MultiLabel(Loss):
    """Compare logits with rows of 0 and 1, [samples, labels]: several labels may hold at once.

    The loss is the binary cross-entropy averaged over labels; the signal is the mean over labels of the logit
    towards the truth, log(p_l / (1 - p_l)) with p_l the probability given to the true value of label l. `outputs`: what
    the model returns, "logits" or "probabilities".
    """

    outputs: Outputs = "logits"
    name: ClassVar[str] = "multi_label"
    metric: ClassVar[str] = "label_accuracy"

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the log-odds of probabilities, or the logits themselves."""
        return log_odds(outputs) if self.outputs == "probabilities" else outputs

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse soft labels and outputs of another width than the targets."""
        good = y.ndim == 2 and bool(np.isin(y, (0, 1)).all())
        require(good, "multi_label expects rows of 0 and 1, [samples, labels]", hint="soft labels are not supported")
        require_outputs(self.name, outputs, len(y), "labels", y.shape[1])

    def targets(self, y: np.ndarray) -> Tensor:
        """Return targets as float32."""
        return torch.from_numpy(y.astype(np.float32))

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the binary cross-entropy, averaged over labels."""
        return functional.softplus(-self._towards(outputs, y)).mean(-1)

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the logit towards the truth, averaged over labels."""
        return self._towards(outputs, y).mean(-1)

    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the fraction of labels that are right."""
        return (self._towards(outputs, y) > 0).to(outputs.dtype).mean(-1)

    def _towards(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.logits(outputs) * (2 * y - 1)


def as_loss(loss: str | Loss, outputs: Outputs | None = None) -> Loss:
    """Return the loss itself, or the one that a name means, of models that return `outputs`, where that is stated."""
    whole = LOSSES.parse(loss) if isinstance(loss, str) else loss
    hint = f"name one: {', '.join(LOSSES.names())}; or pass an object that is a quantmis.models.Loss"
    is_loss = isinstance(whole, Loss)  # pyright: ignore[reportUnnecessaryIsInstance]
    require(is_loss, f"loss: a {type(whole).__name__} is no loss of an audit", hint=hint)
    if outputs is None:
        return whole
    require(outputs in OUTPUTS, f"unknown outputs {outputs!r}", hint=suggestion(outputs, OUTPUTS))
    require(
        isinstance(whole, CrossEntropy | MultiLabel),
        f"outputs: {whole.name} takes a model's outputs as they are",
        hint="logits and probabilities are what cross_entropy and multi_label tell apart",
    )
    assert isinstance(whole, CrossEntropy | MultiLabel)  # noqa: S101 for the type checker
    return replace(whole, outputs=outputs)


def _log_probability(outputs: Tensor, y: Tensor) -> Tensor:
    return _pick(torch.log_softmax(outputs, -1), y)


def _pick(table: Tensor, y: Tensor) -> Tensor:
    index = y.expand(table.shape[:-1]).unsqueeze(-1)
    return table.gather(-1, index).squeeze(-1)


def _without(table: Tensor, y: Tensor, fill: float = -torch.inf) -> Tensor:
    index = y.expand(table.shape[:-1]).unsqueeze(-1)
    return table.scatter(-1, index, fill)
