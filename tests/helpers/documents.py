"""Builders of whole results documents for the tests: what an audit of ten versions of a classifier would say.

An attack of strength d has the binormal ROC curve TPR = Phi(d + Phi^-1(FPR)); from d follow its AUC and advantage,
so the numbers of a document fit together.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from scipy.special import ndtr, ndtri

from quantmis.measures.auc import AUC
from quantmis.measures.exposure_by_class import ClassExposure
from quantmis.measures.most_exposed_samples import SampleExposure
from quantmis.measures.release_without import LeftOut
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.measures.tpr_at_fpr import RateAt, UnresolvedAt
from quantmis.measures.utility import UTILITY
from quantmis.results import (
    Agreement,
    AttackDescription,
    AttackMetrics,
    AttackResult,
    BlindBaseline,
    Config,
    Control,
    Curve,
    Data,
    Environment,
    Finding,
    Rank,
    Ranking,
    ReleaseResult,
    Reproduce,
    Results,
    TargetResult,
    VersionResult,
)
from quantmis.stats import Estimate, Unmeasured

SPARSE = "ternary(sparsity=0.9)"
CHANNEL = 'uniform(bits=4, per="channel")'
STRENGTHS = {
    "identity": 1.10,
    "uniform(bits=8)": 1.09,
    "uniform(bits=4)": 0.95,
    CHANNEL: 1.00,
    "uniform(bits=3)": 0.72,
    "uniform(bits=2)": 0.33,
    "sign": 0.36,
    "ternary(sparsity=0.33)": 0.55,
    "ternary(sparsity=0.5)": 0.45,
    SPARSE: 0.12,
}
UTILITIES = {
    "identity": 0.964,
    "uniform(bits=8)": 0.964,
    "uniform(bits=4)": 0.961,
    CHANNEL: 0.962,
    "uniform(bits=3)": 0.950,
    "uniform(bits=2)": 0.912,
    "sign": 0.921,
    "ternary(sparsity=0.33)": 0.938,
    "ternary(sparsity=0.5)": 0.933,
    SPARSE: 0.883,
}
BITS = {
    "identity": (32.0, 0.0),
    "uniform(bits=8)": (8.01, 0.01),
    "uniform(bits=4)": (4.01, 0.14),
    CHANNEL: (4.45, 0.12),
    "uniform(bits=3)": (3.01, 0.28),
    "uniform(bits=2)": (2.01, 0.52),
    "sign": (1.01, 0.0),
    "ternary(sparsity=0.33)": (1.59, 0.33),
    "ternary(sparsity=0.5)": (1.59, 0.5),
    SPARSE: (1.59, 0.9),
}
ATTACKS = {"loss_threshold": 0.6, "lira": 1.0, "paired_replicates": 0.95}
NO_TRANSFER = Unmeasured("paired replicates compare models of one quantizer; there is no transfer form")
FEW_OTHERS = Unmeasured("not resolvable with 599 non-members: fewer than 10 expected false positives")


def around(value: float, reach: float = 0.02) -> Estimate:
    return Estimate(value, value - reach, value + reach, 0.95, "clustered by model and sample")


def advantage(strength: float) -> float:
    return float(2 * ndtr(strength / 2) - 1)


def metrics(strength: float, reach: float = 0.02) -> AttackMetrics:
    fpr = np.geomspace(1e-3, 1, 60)
    curve = ndtr(strength + ndtri(fpr))
    measures = {
        "auc": around(float(ndtr(strength / np.sqrt(2))), reach / 2),
        "advantage": around(advantage(strength), reach),
        "balanced_accuracy": around((1 + advantage(strength)) / 2, reach / 2),
        "epsilon_lower_bound": Estimate(1.0 * strength, 0.7 * strength, 1.2 * strength),
        "tpr_at_fpr": [_rate(strength, 0.1), _rate(strength, 0.01), UnresolvedAt(FEW_OTHERS.reason, fpr=0.001)],
    }
    return AttackMetrics(measures=measures, roc=Curve(fpr=[0.0, *fpr.tolist()], tpr=[0.0, *curve.tolist()]))


def _rate(strength: float, fpr: float) -> RateAt:
    value = float(ndtr(strength + ndtri(fpr)))
    return RateAt(value, value * 0.9, min(1.0, value * 1.1), fpr=fpr)


def version(
    name: str,
    strength: float,
    utility: float = 0.95,
    *,
    reach: float = 0.02,
    metric: str = "accuracy",
    attacks: Mapping[str, float] = ATTACKS,
) -> VersionResult:
    bits, sparsity = BITS.get(name, (4.0, 0.1))
    bound = 1 - advantage(strength)
    rate = 0.002 / (0.05 + strength)
    return VersionResult(
        name=name,
        untouched=[],
        models=64,
        distinct=64,
        table=f"tables/{len(name)}.npz",
        utility_metric=metric,
        strongest_attack="lira",
        measures={
            "attack_accuracy": Estimate(
                1 - bound / 2, 1 - (bound + reach) / 2, 1 - (bound - reach) / 2, 0.95, "held out"
            ),
            "utility": Estimate(utility, utility - 0.006, utility + 0.006),
            "bits_per_weight": bits,
            "sparsity": sparsity,
            "quantized_weights": 9472,
            "indicator": Estimate(rate, 0.8 * rate, 1.25 * rate, 0.95, "pairs; bootstrap over points and replicates"),
            "security": Unmeasured("boundary flux is not part of this audit"),
            "security_upper_bound": Estimate(bound, bound - reach, bound + reach, 0.95, "held out"),
            **({"perplexity": _perplexity(utility)} if metric == "log_likelihood" else {}),
        },
        attacks={each: _attack(each, strength * weight, reach) for each, weight in attacks.items()},
    )


def _perplexity(likelihood: float) -> Estimate:
    return Estimate(*(float(np.exp(-likelihood + reach)) for reach in (0, -0.006, 0.006)))


def _attack(name: str, strength: float, reach: float) -> AttackResult:
    transfer = NO_TRANSFER if name == "paired_replicates" else metrics(0.7 * strength, reach)
    return AttackResult(adaptive=metrics(strength, reach), transfer=transfer)


def ranking(records: Sequence[VersionResult]) -> Ranking:
    """Rank by the interval of the upper bound: a version gives away less beyond doubt where the intervals part."""
    known = [record for record in records if not isinstance(record[SECURITY_UPPER_BOUND], Unmeasured)]
    known.sort(key=lambda record: -_bound(record).value)
    rows = [Rank(rank=_rank(each, known), name=each.name, tied=_tied(each, known)) for each in known]
    return Ranking(
        criterion="AUC of the strongest attack (lira), adaptive", rows=sorted(rows, key=lambda row: row.rank)
    )


def _bound(record: VersionResult) -> Estimate:
    assert isinstance(record[SECURITY_UPPER_BOUND], Estimate)
    return record[SECURITY_UPPER_BOUND]


def _rank(record: VersionResult, among: Sequence[VersionResult]) -> int:
    return 1 + sum(_bound(other).low > _bound(record).high for other in among)


def _tied(record: VersionResult, among: Sequence[VersionResult]) -> list[str]:
    mine = _bound(record)
    return [
        other.name
        for other in among
        if other.name != record.name and _bound(other).low <= mine.high and mine.low <= _bound(other).high
    ]


def document(
    strengths: Mapping[str, float] = STRENGTHS,
    utilities: Mapping[str, float] = UTILITIES,
    *,
    reach: float = 0.02,
    metric: str = "accuracy",
    attacks: Mapping[str, float] = ATTACKS,
) -> Results:
    """Build the document of an audit from the strength of the strongest attack on each version."""
    records = [
        version(name, strength, utilities.get(name, 0.95), reach=reach, metric=metric, attacks=attacks)
        for name, strength in strengths.items()
    ]
    return assemble(compared(records), attacks=list(attacks))


ITSELF = Unmeasured("this is full precision itself")


def compared(records: Sequence[VersionResult]) -> list[VersionResult]:
    """Fill in how each version differs from full precision, in pairs: half as uncertain as either of the two."""
    whole = next((record for record in records if record.name == "identity"), None)
    return [_compared(record, whole) for record in records] if whole else list(records)


def _compared(record: VersionResult, whole: VersionResult) -> VersionResult:
    if record is whole:
        return record.with_measures(attack_accuracy_change=ITSELF, utility_change=ITSELF)
    mine, theirs = record[SECURITY_UPPER_BOUND], whole[SECURITY_UPPER_BOUND]
    assert isinstance(mine, Estimate)
    assert isinstance(theirs, Estimate)
    right = around((theirs.value - mine.value) / 2, (mine.high - mine.low) / 4)
    return record.with_measures(
        attack_accuracy_change=right, utility_change=around(record[UTILITY].value - whole[UTILITY].value, 0.004)
    )


def assemble(records: Sequence[VersionResult], attacks: Sequence[str] = tuple(ATTACKS)) -> Results:
    """Build the document that holds these records."""
    return Results(
        config=Config(
            model="DigitsMLP",
            loss="cross_entropy",
            recipe={"epochs": 40, "batch_size": 32, "learning_rate": 0.001, "optimizer": "adam", "shuffle": True},
            seed=0,
            depth="shadow",
            shadows=64,
            replicates=64,
            quantizers=[record.name for record in records],
            attacks=list(attacks),
            lead_attack="lira" if "lira" in attacks else next(iter(attacks), ""),
            level=0.95,
        ),
        environment=Environment(
            versions={"python": "3.11.15", "quantmis": "0.1.0", "torch": "2.9.0"},
            machine="x86_64, 2 cores",
            device="cpu",
            started="2026-03-02T09:15:00+00:00",
            seconds={"training": 21.4, "quantizing": 6.1, "attacks": 8.8},
        ),
        data=Data(samples=1198, held_out=599, members_per_model=599, features=[64], classes=10, digest="3f9a" * 16),
        attacks={name: described(name) for name in attacks},
        versions=list(records),
        ranking=ranking(records),
        agreement=[Agreement(first="indicator", second="lira", tau=Estimate(0.82, 0.61, 0.95))],
        controls=controls(),
        warnings=[Finding(code="QM009", text="paired_replicates is told more than an attacker would know.")],
        reproduce=Reproduce(command="quantmis demo --shadows 64 --seed 0", python="qm.audit(task, samples, seed=0)"),
    )


def described(name: str) -> AttackDescription:
    text = "" if name.startswith("attack_") else f"What {name} does."
    return AttackDescription(description=text, bounds_security=name != "paired_replicates")


def controls(*, shuffled: float = 0.501) -> list[Control]:
    found = around(shuffled, 0.01)
    return [
        Control(
            name="shuffled_membership",
            version="identity",
            expected="AUC 0.5 within its interval",
            found=found,
            passed=found.low <= 0.5 <= found.high,
        ),
        Control(
            name="planted_leak",
            version="identity",
            expected="AUC above 0.9",
            found=Unmeasured("not run: asks for 16 further trainings"),
            passed=None,
        ),
    ]


@cache
def many(quantizers: int = 40, attacks: int = 12) -> Results:
    """Build a document of the size that the report must still serve quickly."""
    names = [f'uniform(bits={2 + i % 7}, per="group", group={16 * (1 + i)})' for i in range(quantizers - 1)]
    strengths = {"identity": 1.1, **{name: 0.1 + 0.025 * i for i, name in enumerate(names)}}
    utilities = {name: float(0.96 - 0.08 * np.exp(-2 * strength)) for name, strength in strengths.items()}
    return document(strengths, utilities, attacks={f"attack_{i}": 1 - i / 20 for i in range(attacks)})


def exposed(results: Results) -> Results:
    """Fill in who is exposed: ten classes, one too small to say, and five samples per version."""
    return results.model_copy(update={"versions": [_exposed(record) for record in results.versions]})


def _exposed(record: VersionResult) -> VersionResult:
    first = next(iter(record.attacks.values())).adaptive
    assert isinstance(first, AttackMetrics)
    assert isinstance(first[AUC], Estimate)
    areas = [around(first[AUC].value + (label - 5) / 100, 0.03) for label in range(9)]
    few = Unmeasured("not resolvable with 3 non-members and 2 members: 8 of each are needed")
    samples = [SampleExposure(sample=40 + each, id=f"patient {each}", exposure=around(0.9)) for each in range(5)]
    classes = [ClassExposure(label=label, attack="lira", auc=area) for label, area in enumerate([*areas, few])]
    return record.with_measures(exposure_by_class=classes, most_exposed_samples=samples)


def given(results: Results, *, differs: bool = False, strengths: Mapping[str, float] = STRENGTHS) -> Results:
    """Add what was measured about a model that was given: the versions of `strengths`, each from one training."""
    own = document({name: 0.9 * strength for name, strength in strengths.items()}, reach=0.1)
    right = around(0.71 if differs else 0.5)
    target = TargetResult(
        name="model.safetensors",
        digest="c0de" * 16,
        members=599,
        non_members=599,
        blind=BlindBaseline(method="gradient boosting", auc=right, balanced_accuracy=right, differs=differs),
        versions=own.versions,
        ranking=own.ranking,
    )
    return results.model_copy(update={"target": target})


def as_is(*, differs: bool = False) -> Results:
    """Build the document of an audit that trained nothing."""
    results = given(document(reach=0.05, attacks={"loss_threshold": 1.0}), differs=differs)
    assert isinstance(results.target, TargetResult)
    alone = Unmeasured("not resolvable with 1 models: 8 are needed")
    records = [
        record.model_copy(update={"models": 1}).with_measures(most_exposed_samples=alone) for record in results.versions
    ]
    config = results.config.model_copy(update={"depth": "as-is", "shadows": 0, "replicates": 0})
    target = results.target.model_copy(update={"versions": [], "ranking": results.ranking})
    return results.model_copy(update={"config": config, "target": target, "versions": records, "agreement": []})


def released(
    versions: Sequence[str] = ("identity", "sign"), *, gain: float = 0.02, reach: float = 0.005, adds: float = 0.03
) -> ReleaseResult:
    """Build what versions give away together: the first of them adds `adds`, the others nothing."""
    left = [
        LeftOut(
            version=name, attack_accuracy=around(0.6, 0.01), adds=around(adds if name == versions[0] else 0.0, 0.01)
        )
        for name in versions
    ]
    measures = {
        "release_attack_accuracy": around(0.64 + gain, 0.01),
        "release_strongest_alone": around(0.64, 0.01),
        "release_gain": around(gain, reach),
        "release_without": left,
    }
    attacks = {"joint_lira": Unmeasured("too few models"), "stacked": metrics(0.8), "stacked(lira)": metrics(0.7)}
    return ReleaseResult(
        versions=list(versions),
        strongest_attack="stacked",
        strongest_alone="lira on identity",
        measures=measures,
        attacks=attacks,
    )


def with_releases(results: Results, *sets: ReleaseResult) -> Results:
    return results.model_copy(update={"releases": list(sets)})
