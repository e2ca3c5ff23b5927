"""What an audit was asked to do, checked before anything is spent on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool

from quantmis import seeds
from quantmis.attacks import ATTACKS, Attack
from quantmis.audit.executors import EXECUTORS
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.models import Task
from quantmis.models.engine import WAYS
from quantmis.models.rows import forward
from quantmis.quantizers import QUANTIZERS, Identity, MatchedNoise, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling, suggestion

QUANTIZERS_BY_DEFAULT = (
    "identity",
    "uniform(bits=8)",
    "uniform(bits=4)",
    'uniform(bits=4, per="channel")',
    "uniform(bits=3)",
    "uniform(bits=2)",
    "sign",
    "ternary(sparsity=0.33)",
    "ternary(sparsity=0.5)",
    "ternary(sparsity=0.9)",
)
ATTACKS_BY_DEFAULT = {
    "shadow": ("loss_threshold", "lira", "paired_replicates"),
    "indicator": ("loss_threshold", "paired_replicates"),
}
TRIED = 8


@dataclass(frozen=True)
class Settings:
    """Hold what to audit with. Raises `UserError` for what cannot be.

    `shadows`: the models of the attacks. `replicates`: how many of them, from the first, are the candidates of the
    indicator, at their end and, where `checkpoint_every` is given, after every so many epochs. `held_out`: the fraction
    of the samples that no model sees. `canaries`: how many wrongly labelled copies are trained on beside the samples.
    """

    quantizers: tuple[Quantizer, ...]
    attacks: tuple[Attack, ...]
    shadows: int
    replicates: int
    held_out: float
    seed: int
    level: float
    checkpoint_every: int | None
    keep_weights: bool
    canaries: int
    engine: str
    executor: str

    def __post_init__(self):
        _require_models(self.shadows, self.replicates)
        _require_distinct("quantizer", self.quantizer_names)
        _require_distinct("attack", self.attack_names)
        require(self.attacks, "attacks: expected at least one", hint=f"known: {', '.join(ATTACKS.names())}")
        require(0 < self.level < 1, f"level: expected a probability between 0 and 1, got {self.level}")
        require(
            self.canaries >= 0 and self.canaries % 2 == 0, f"canaries: expected an even number, got {self.canaries}"
        )
        _require_known("engine", self.engine, WAYS)
        _require_known("executor", self.executor, EXECUTORS)
        epochs = self.checkpoint_every
        require(epochs is None or epochs > 0, f"checkpoint_every: expected a number of epochs, got {epochs}")

    @property
    def models(self) -> int:
        """The number of models that are trained."""
        return max(self.shadows, self.replicates)

    @property
    def depth(self) -> Literal["shadow", "indicator"]:
        """How deep the audit looks, by what it trains."""
        return depth(self.shadows)

    @property
    def noises(self) -> tuple[Quantizer, ...]:
        """The noise that each quantizer is compared with as a control, where there are shadow models to do it with."""
        return tuple(MatchedNoise(of=each) for each in self.quantizers if each.has_codes) if self.shadows else ()

    @property
    def quantizer_names(self) -> list[str]:
        """The quantizers as users write them."""
        return [spelling(quantizer) for quantizer in self.quantizers]

    @property
    def attack_names(self) -> list[str]:
        """The attacks as users write them."""
        return [spelling(attack) for attack in self.attacks]


def depth(shadows: int) -> Literal["shadow", "indicator"]:
    """Return how deep an audit with so many shadow models looks."""
    return "shadow" if shadows else "indicator"


def quantizers_of(asked: Sequence[str | Quantizer] | None) -> tuple[Quantizer, ...]:
    """Return the quantizers asked for, by default the codebooks; full precision always, and first."""
    chosen = [_quantizer(each) for each in (QUANTIZERS_BY_DEFAULT if asked is None else asked)]
    return (Identity(), *(each for each in chosen if each != Identity()))


def attacks_of(asked: Sequence[str | Attack] | None, shadows: int) -> tuple[Attack, ...]:
    """Return the attacks asked for, by default those of the depth."""
    return tuple(_attack(each) for each in (ATTACKS_BY_DEFAULT[depth(shadows)] if asked is None else asked))


def check(task: Task, samples: Samples) -> None:
    """Raise `UserError` unless a fresh model takes the samples and its outputs fit the targets."""
    module = task.build(0)
    try:
        outputs = forward(module, torch.from_numpy(samples.x[:TRIED]))
    except Exception as error:
        x = samples.x
        message = f"the model cannot take x[:{TRIED}], {x.dtype} of shape {[TRIED, *x.shape[1:]]}: {error}"
        hint = "one sample is x[i]; whole numbers stay whole: pass x.astype('float32') unless the model embeds them"
        raise UserError(message, hint=hint) from error
    require(outputs.shape[:1] == (TRIED,), f"the model returned {list(outputs.shape)} for {TRIED} samples")
    task.loss.check(samples.y, (len(samples), *outputs.shape[1:]))
    finite = bool(torch.isfinite(outputs).all())
    require(finite, "the untrained model already returns NaN or infinity", hint="scale the inputs")


def check_attacks(settings: Settings, member: Bool[np.ndarray, "models samples"]) -> None:
    """Run every attack on random losses under the memberships of the audit, so that what cannot run says so now."""
    shown = member[:, np.any(member, axis=0)]
    losses = seeds.generator(settings.seed, "rehearsal").random(shown.shape)
    rehearsal = Evidence(losses, shown, entropy=losses)
    for attack in settings.attacks:
        attack.score(rehearsal)


def check_quantizers(settings: Settings, task: Task, samples: Samples) -> None:
    """Put an untrained model through every quantizer, so that what cannot be quantized says so now."""
    module, inputs = task.build(0), torch.from_numpy(samples.x[:TRIED])
    for quantizer in (*settings.quantizers, *settings.noises):
        calibration = inputs if needs_calibration(quantizer) else None
        quantizer.quantize(module, calibration, torch.Generator().manual_seed(0))


def check_folder(out: Path) -> None:
    """Raise `UserError` unless files can be written into the folder `out`, which is made where it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error.strerror}", hint="choose another --out") from error
    probe = out / ".writable"
    write_atomically(probe, b"")
    probe.unlink()


def _quantizer(each: str | Quantizer) -> Quantizer:
    return QUANTIZERS.parse(each) if isinstance(each, str) else each


def _attack(each: str | Attack) -> Attack:
    return ATTACKS.parse(each) if isinstance(each, str) else each


def _require_models(shadows: int, replicates: int) -> None:
    for name, count in (("shadows", shadows), ("replicates", replicates)):
        require(
            count >= 0 and count % 2 == 0,
            f"{name}: expected an even number, got {count}",
            hint="models come in complementary pairs: what one trains on, its twin does not",
        )
    require(
        max(shadows, replicates) >= 2,
        "an audit trains at least 2 models",
        hint="replicates=4 measures the indicator, shadows=64 also runs the attacks that need shadow models",
    )
    require(replicates >= 2, f"replicates: expected at least 2, got {replicates}")


def _require_known(what: str, name: str, known: Sequence[str]) -> None:
    require(name in known, f"unknown {what} {name!r}", hint=suggestion(name, known))


def _require_distinct(kind: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"the {kind} {repeated[0] if repeated else ''} is asked for twice", hint="name it once")
