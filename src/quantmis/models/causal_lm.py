"""The loss of causal language models: a sample is a text, its loss the mean of -log p over its tokens.

The targets hold what is known of a text without the model: the tokens that are predicted, the bytes that zlib makes of
it and, where there is a reference model, that model's loss. The outputs are those of `quantmis.models.language`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from quantmis.data.forms import LOWERCASE, MEMBER_PREFIXED, NEIGHBOURS, OWN, PREFIXED, SURPRISE, own
from quantmis.data.samples import Samples
from quantmis.data.tokens import PADDING, numbers
from quantmis.errors import require
from quantmis.models.losses import LOSSES, Loss
from quantmis.models.text_statistics import ABSENT, ALWAYS, STATISTICS

TARGETS = ("tokens", "zlib", "reference")
"""The columns of the targets; the last where there is a reference model."""

GAMMA = 0.5
"""The weight of the members' prefix in Con-ReCaLL: its paper tries 0.1 to 1 on texts of known membership."""

TEXTS = "make samples of texts with task.samples(texts), from files or a list of strings"


@LOSSES.add
@dataclass(frozen=True)
class CausalLM(Loss):
    """Read the losses of texts off a language model's statistics.

    Training minimises the mean over the tokens of a batch. The utility is the log-likelihood of a token, averaged over
    all tokens of the held-out texts: exp of its negative is the perplexity.
    """

    name: ClassVar[str] = "causal_lm"
    metric: ClassVar[str] = "log_likelihood"

    def check(self, y: np.ndarray, outputs: tuple[int, ...]) -> None:
        """Refuse targets that are not those of texts, and models that do not return the statistics of texts."""
        are_targets = y.ndim == 2 and y.shape[1] in (len(TARGETS) - 1, len(TARGETS)) and bool((y[:, :2] > 0).all())
        require(are_targets, f"causal_lm: these are no targets of texts: shape {y.shape}", hint=TEXTS)
        good = len(outputs) == 2 and ALWAYS <= outputs[1] <= len(STATISTICS)
        require(good, f"causal_lm: the model returned {list(outputs)}", hint="make the task with qm.Task.causal_lm")

    def targets(self, y: np.ndarray) -> Tensor:
        """Return targets as float32."""
        return torch.from_numpy(y.astype(np.float32))

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean of -log p over the tokens of each text."""
        return outputs[..., STATISTICS.index("loss")]

    def objective(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean of -log p over the tokens of all texts."""
        tokens = y[..., TARGETS.index("tokens")]
        return (self.losses(outputs, y) * tokens).sum() / tokens.sum()

    def signals(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean log-probability of the tokens of each text."""
        return -self.losses(outputs, y)

    def per_sample_utility(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the log-likelihood of a token of each text."""
        return -self.losses(outputs, y)

    def weights(self, y: np.ndarray) -> np.ndarray:
        """Return the number of tokens of each text: every token counts alike."""
        return y[:, TARGETS.index("tokens")].astype(np.float64)

    def named(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Return the signals of the attacks on texts."""
        loss = self.losses(outputs, y)
        least = loss.clamp(min=torch.finfo(loss.dtype).eps)
        read = {name: outputs[..., place] for place, name in enumerate(STATISTICS[: outputs.shape[-1]])}
        read = {name: each for name, each in read.items() if not bool((each == ABSENT).all())}
        signals = {name: read[name] for name in ("min_k", "min_k_plus_plus", "ending", "dc_pdd") if name in read}
        signals["zlib_ratio"] = -loss / y[..., TARGETS.index("zlib")]
        if "lowercase_loss" in read:
            signals["lowercase_ratio"] = -loss / read["lowercase_loss"].clamp(min=torch.finfo(loss.dtype).eps)
        if "prefixed_loss" in read:
            signals["recall"] = read["prefixed_loss"] / least
        if "member_prefixed_loss" in read and "prefixed_loss" in read:
            signals["con_recall"] = (read["prefixed_loss"] - GAMMA * read["member_prefixed_loss"]) / least
        if "neighbour_loss" in read:
            signals["neighbourhood"] = read["neighbour_loss"] - loss
        if y.shape[-1] == len(TARGETS):
            signals["reference_difference"] = y[..., TARGETS.index("reference")] - loss
        return signals

    def without_models(self, samples: Samples) -> Samples:
        """Return the tokens of the texts, context too, and of the targets what is not the loss of a reference model."""
        return samples.replaced(numbers(own(samples.x)), samples.y[:, : TARGETS.index("reference")])

    def named_signals(self, samples: Samples) -> tuple[str, ...]:
        """Return the names of the signals that these texts have, by the attacks that read them."""
        x = samples.x
        forms = [x[:, place] for place in range(x.shape[1])] if x.ndim == 3 else []
        has = {place for place, form in enumerate(forms) if bool((form != PADDING).any())}
        names = {
            "lowercase_ratio": LOWERCASE in has and not np.array_equal(forms[OWN], forms[LOWERCASE]),
            "recall": PREFIXED in has,
            "con_recall": has >= {PREFIXED, MEMBER_PREFIXED},
            "dc_pdd": SURPRISE in has,
            "neighbourhood": NEIGHBOURS in has,
            "reference_difference": samples.y.shape[-1] == len(TARGETS),
        }
        return ("min_k", "min_k_plus_plus", "zlib_ratio", *(name for name, there in names.items() if there))
