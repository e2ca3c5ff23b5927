"""What an audit was asked to do, as objects, checked before anything is spent on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from quantmis.analysis import AnalysisSettings
from quantmis.attacks import ATTACKS, Attack
from quantmis.audit.options import CALIBRATE_ON, DEPTHS, EXECUTORS, KEEP_WEIGHTS, AuditOptions, meaning
from quantmis.errors import require
from quantmis.models import BinaryCrossEntropy, CrossEntropy, Loss
from quantmis.models.engine import ENGINES
from quantmis.quantizers import QUANTIZERS, Identity, MatchedNoise, Quantizer
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
    "shadow": ("loss_threshold", "lira", "rmia", "paired_replicates"),
    "indicator": ("loss_threshold", "paired_replicates"),
    "as-is": ("loss_threshold",),
}
LEVEL = "0.95 is 95 %"
PAIRS = "models come in complementary pairs: what one trains on, its twin does not"
Depth = Literal["shadow", "indicator", "as-is"]


@dataclass(frozen=True)
class Settings:
    """Hold what to audit with: the `options` of the audit, and what those that stand for objects mean.

    `shadows`: the models of the attacks. `replicates`: how many of them, from the first, are the candidates of the
    indicator. `release`: the names of versions released together. Raises `UserError` for what cannot be.
    """

    quantizers: tuple[Quantizer, ...]
    attacks: tuple[Attack, ...]
    shadows: int
    replicates: int
    options: AuditOptions
    release: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self):
        enough = self.replicates >= 2 or self.depth == "as-is"
        require(enough, f"replicates: expected at least 2, got {self.replicates}")
        _require_distinct("quantizer", self.quantizer_names)
        _require_distinct("attack", self.attack_names)
        require(self.attacks, "attacks: expected at least one", hint=f"known: {', '.join(ATTACKS.names())}")
        for attack in self.attacks if self.depth == "as-is" else ():
            _require_alone(attack)
        _check_options(self.options)

    @property
    def models(self) -> int:
        """The number of models that are trained."""
        return max(self.shadows, self.replicates)

    @property
    def depth(self) -> Depth:
        """How deep the audit looks, by what it trains."""
        return Models(self.shadows, self.replicates).depth

    @property
    def noises(self) -> tuple[Quantizer, ...]:
        """The noise that each quantizer is compared with as a control, where there are shadow models to do it with."""
        return tuple(MatchedNoise(of=each) for each in self.quantizers if each.has_codes) if self.shadows else ()

    @property
    def analysis(self) -> AnalysisSettings:
        """What the numbers depend on, once the loss tables are there."""
        options = self.options
        return AnalysisSettings(
            self.attacks,
            self.shadows,
            self.replicates,
            options.seed,
            options.level,
            options.canaries,
            self.release,
        )

    @property
    def quantizer_names(self) -> list[str]:
        """The quantizers as users write them."""
        return [spelling(quantizer) for quantizer in self.quantizers]

    @property
    def attack_names(self) -> list[str]:
        """The attacks as users write them."""
        return [spelling(attack) for attack in self.attacks]


class Models(NamedTuple):
    """Hold how many models an audit trains: for the attacks, and for the indicator, which shares them."""

    shadows: int
    replicates: int

    @property
    def depth(self) -> Depth:
        """How deep an audit of so many models looks."""
        if self.shadows:
            return "shadow"
        return "indicator" if self.replicates else "as-is"


MODELS_BY_DEFAULT = {"shadow": Models(64, 64), "indicator": Models(0, 4), "as-is": Models(0, 0)}


def models_of(options: AuditOptions, has_target: bool, has_recipe: bool, deepest: Depth = "shadow") -> Models:
    """Return how many models to train: as many as were asked for, by default those of the depth.

    `has_target`: there is a trained model, and so a depth that trains nothing; `has_recipe`: there is a recipe to train
    more with. Without the one, or with the other, the default is to train the models of the depth `deepest`.
    """
    depth, shadows, replicates = options.depth, options.shadows, options.replicates
    is_known = depth is None or depth in DEPTHS
    require(is_known, f"unknown depth {depth!r}", hint=suggestion(str(depth), DEPTHS))
    for name, count in (("shadows", shadows), ("replicates", replicates)):
        _require_even(name, count or 0)
    has_counts = shadows is not None or replicates is not None
    meant = depth or ("as-is" if has_target and not has_recipe and not has_counts else "shadow" if shadows else deepest)
    attacked = MODELS_BY_DEFAULT[meant].shadows if shadows is None else shadows
    compared = attacked if meant == "shadow" else MODELS_BY_DEFAULT[meant].replicates
    models = Models(attacked, compared if replicates is None else replicates)
    require(
        depth in (None, models.depth),
        f"depth {depth!r} does not fit shadows={models.shadows} and replicates={models.replicates}",
        hint="as-is trains nothing, indicator trains replicates only, shadow trains shadows",
    )
    require(
        has_target or max(models) >= 2,
        "an audit without a trained model trains at least 2 models",
        hint="replicates=4 measures the indicator, shadows=64 also runs the attacks that need shadow models",
    )
    return models


def quantizers_of(quantizers: Sequence[str | Quantizer] | None) -> tuple[Quantizer, ...]:
    """Return the quantizers asked for, by default the codebooks; full precision always, and first."""
    _require_list("quantizers", quantizers)
    methods = [_quantizer(each) for each in (QUANTIZERS_BY_DEFAULT if quantizers is None else quantizers)]
    return (Identity(), *(each for each in methods if each != Identity()))


def attacks_of(
    attacks: Sequence[str | Attack] | None, models: Models, loss: Loss, signals: Sequence[str] = ()
) -> tuple[Attack, ...]:
    """Return the attacks asked for, by default those of the depth and of the further `signals` of the samples."""
    _require_list("attacks", attacks)
    if attacks is not None:
        return tuple(map(_attack, attacks))
    entropy = (
        ("modified_entropy",) if models.depth == "as-is" and isinstance(loss, CrossEntropy | BinaryCrossEntropy) else ()
    )
    return tuple(map(_attack, (*ATTACKS_BY_DEFAULT[models.depth], *entropy, *signals)))


def _check_options(options: AuditOptions) -> None:
    level, canaries, epochs = options.level, options.canaries, options.checkpoint_every
    require(0 < level < 1, f"level: expected a probability between 0 and 1, got {level}", hint=LEVEL)
    require(canaries >= 0 and canaries % 2 == 0, f"canaries: expected an even number, got {canaries}", hint=PAIRS)
    _require_known("engine", options.engine, ENGINES)
    _require_known("executor", options.executor, EXECUTORS)
    _require_known("calibrate_on", options.calibrate_on, CALIBRATE_ON)
    _require_known("keep_weights", options.keep_weights, KEEP_WEIGHTS)
    memory = options.memory
    require(
        0 < memory < math.inf, f"memory: expected GiB for the models of one group, got {memory}", hint=meaning("memory")
    )
    require(
        epochs is None or epochs > 0,
        f"checkpoint_every: expected a number of epochs, got {epochs}",
        hint=meaning("checkpoint_every"),
    )


def _quantizer(each: str | Quantizer) -> Quantizer:
    _require_one("quantizers", each, Quantizer, '"int8", "uniform(bits=4)"')
    return QUANTIZERS.parse(each) if isinstance(each, str) else each


def _attack(each: str | Attack) -> Attack:
    _require_one("attacks", each, Attack, '"lira", "rmia"')
    return ATTACKS.parse(each) if isinstance(each, str) else each


def _require_one(what: str, each: Any, kind: type, names: str) -> None:
    hint = f"give names, such as {names}, or objects of quantmis.{what}: qm.{what}.X(), not the class"
    require(isinstance(each, str | kind), f"{what}: {each!r} is neither a name nor an object", hint=hint)


def _require_list(what: str, names: Any) -> None:
    require(
        not isinstance(names, str), f"{what}: expected a list, got {names!r}", hint=f'of one too: {what}=["{names}"]'
    )


def _require_even(name: str, count: int) -> None:
    require(
        count >= 0 and count % 2 == 0,
        f"{name}: expected an even number, got {count}",
        hint=PAIRS,
    )


def _require_alone(attack: Attack) -> None:
    require(
        not attack.uses_references and attack.bounds_security,
        f"{attack.name} needs other models than the one that was given, and an as-is audit trains none",
        hint='leave it out, or give a recipe and depth = "shadow"',
    )


def _require_known(what: str, name: str, choices: Sequence[str]) -> None:
    require(name in choices, f"unknown {what} {name!r}", hint=suggestion(name, choices))


def _require_distinct(kind: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"the {kind} {repeated[0] if repeated else ''} is asked for twice", hint="name it once")
