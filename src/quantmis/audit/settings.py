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
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.models import Task
from quantmis.models.rows import forward
from quantmis.quantizers import QUANTIZERS, Identity, Quantizer
from quantmis.registry import spelling
from quantmis.results import write_atomically

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
    """Hold what to audit with: quantizers, attacks, and how many models to train.

    The first `replicates` models are the candidates of the indicator; all `models` fill the tables of the attacks.
    """

    quantizers: tuple[Quantizer, ...]
    attacks: tuple[Attack, ...]
    shadows: int
    replicates: int
    held_out: float
    seed: int
    level: float

    @property
    def models(self) -> int:
        """The number of models that are trained."""
        return max(self.shadows, self.replicates)

    @property
    def depth(self) -> Literal["shadow", "indicator"]:
        """How deep the audit looks, by what it trains."""
        return "shadow" if self.shadows else "indicator"

    @property
    def quantizer_names(self) -> list[str]:
        """The quantizers as users write them."""
        return [spelling(quantizer) for quantizer in self.quantizers]

    @property
    def attack_names(self) -> list[str]:
        """The attacks as users write them."""
        return [spelling(attack) for attack in self.attacks]


def settings(
    quantizers: Sequence[str | Quantizer] | None,
    attacks: Sequence[str | Attack] | None,
    shadows: int,
    replicates: int | None,
    held_out: float,
    seed: int,
    level: float,
) -> Settings:
    """Return the settings that names and numbers mean; full precision is always among the quantizers, first.

    Raises `UserError` for an unknown or repeated name and for a number of models that the audit cannot use.
    """
    replicates = shadows if replicates is None else replicates
    _require_models(shadows, replicates)
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}")
    depth = "shadow" if shadows else "indicator"
    named = [_quantizer(each) for each in (QUANTIZERS_BY_DEFAULT if quantizers is None else quantizers)]
    others = [each for each in named if each != Identity()]
    chosen = [_attack(each) for each in (ATTACKS_BY_DEFAULT[depth] if attacks is None else attacks)]
    require(chosen, "attacks: expected at least one", hint=f"known: {', '.join(ATTACKS.names())}")
    _require_distinct("quantizer", [spelling(each) for each in others])
    _require_distinct("attack", [spelling(each) for each in chosen])
    return Settings((Identity(), *others), tuple(chosen), shadows, replicates, held_out, seed, level)


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


def _require_distinct(kind: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"the {kind} {repeated[0] if repeated else ''} is asked for twice", hint="name it once")
