"""Outcomes with numbers that a test chooses."""

from quantmis.stats import Estimate, Unmeasured
from quantmis.studies.outcome import Outcome, QuantizerOutcome
from quantmis.studies.problem import NAMES

PRIVATE_FIRST = (
    "ternary(sparsity=0.9)",
    "uniform(bits=2)",
    "sign",
    "ternary(sparsity=0.5)",
    "ternary(sparsity=0.33)",
    "uniform(bits=3)",
    'uniform(bits=4, per="channel")',
    "uniform(bits=4)",
    "uniform(bits=8)",
    "identity",
)


def outcome(
    problem: str = "one",
    order: tuple[str, ...] = PRIVATE_FIRST,
    noise: float = 0.0,
    kind: str = "classification",
    step: float = 0.02,
    costs: dict[str, float] | None = None,
    cluster: str | None = None,
    metric: str = "accuracy",
    chance: float = 0.5,
) -> Outcome:
    """Return an outcome in which LiRA finds `step` more under each quantizer of `order`."""
    made = [
        _quantizer(name, 0.5 + step * (1 + order.index(name)) + noise, (costs or {}).get(name, 0.0)) for name in NAMES
    ]
    return Outcome(
        key="",
        problem=problem,
        cluster=cluster or problem,
        kind=kind,
        metric=metric,
        chance=chance,
        members=100,
        trained=200,
        held_out=100,
        facts={"components": 2, "embedder": problem},
        seconds=60.0,
        quantizers=made,
    )


def _quantizer(name: str, auc: float, cost: float) -> QuantizerOutcome:
    return QuantizerOutcome(
        name=name,
        bits_per_weight=1.0,
        sparsity=0.5,
        utility=around(0.9 - cost),
        lira=around(auc),
        advantage=around(auc / 2),
        paired_replicates=around(auc),
        loss_threshold=around(auc),
        indicator=around(1 - auc),
        security=Unmeasured("too few points"),
    )


def around(value: float) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.01)
