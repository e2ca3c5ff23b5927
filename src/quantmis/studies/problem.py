"""One problem of a study, and how it is measured with the pieces of an audit."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

import quantmis
from quantmis import seeds
from quantmis.attacks import LiRA, LossThreshold, PairedReplicates
from quantmis.audit.checks import check
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.keys import keys_of
from quantmis.audit.execution.work import Work
from quantmis.audit.settings import QUANTIZERS_BY_DEFAULT
from quantmis.data import Samples, complementary_halves
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.models import Task
from quantmis.models.engine import choose_engine
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.results import Measured
from quantmis.stats import Estimate, Unmeasured, evaluate
from quantmis.studies.outcome import Outcome, QuantizerOutcome
from quantmis.tables import LossTable
from quantmis.theory import indicator, security

ROOMS = (
    "stats",
    "theory",
    "attacks",
    "tables",
    "evidence.py",
    *(f"studies/{name}.py" for name in ("problem", "utility", "predicting")),
)
"""The code that turns rows of a loss table into an outcome; that of the rows stands in the key of the work."""

DRAWS = 4000
NAMES = QUANTIZERS_BY_DEFAULT


@dataclass(frozen=True)
class Design:
    """Say how problems are measured: `whole` models, trained on all that may be trained on, give the utility."""

    quantizers: tuple[str, ...] = NAMES
    shadows: int = 64
    whole: int = 8
    seed: int = 0
    level: float = 0.95

    def quantizer_objects(self) -> tuple[Quantizer, ...]:
        """Return the quantizers as objects."""
        return tuple(QUANTIZERS.parse(name) for name in self.quantizers)


@dataclass(frozen=True, eq=False)
class Problem:
    """Hold a task, its samples, and which of them models may be trained on; the others are its test set.

    `utility_of` returns the utility of models from what their predictions of the test set are worth, [models, tests].
    `chance` is the utility of knowing nothing.
    """

    name: str
    cluster: str
    task: Task
    samples: Samples
    trainable: Bool[np.ndarray, " samples"]
    metric: str
    chance: float
    utility_of: Callable[[Float[np.ndarray, "models tests"], float], Estimate]
    kind: Literal["classification", "regression"] = "classification"
    facts: dict[str, str | int] = field(default_factory=dict[str, str | int])

    def halves(self, design: Design) -> Work:
        """Return the work of the shadow models, in complementary pairs."""
        columns = np.flatnonzero(self.trainable)
        columns = columns[: len(columns) // 2 * 2]
        member = np.zeros((design.shadows, len(self.samples)), dtype=bool)
        generator = seeds.generator(design.seed, "membership")
        member[:, columns] = complementary_halves(design.shadows, len(columns), generator)
        return self._work(member, design)

    def whole(self, design: Design) -> Work:
        """Return the work of the models that are trained on everything."""
        return self._work(np.tile(self.trainable, (design.whole, 1)), design)

    def key(self, design: Design) -> str:
        """Return the hash of everything that the outcome depends on."""
        works = (self.halves(design), self.whole(design))
        keys = [key for work in works for key in keys_of(work)]
        words = f"{keys} {_code()} {design.level} {self.name} {self.metric} {self.chance}"
        return hashlib.sha256(words.encode()).hexdigest()

    def _work(self, member: np.ndarray, design: Design) -> Work:
        # one way of training whatever is fastest, so that the same seed gives the same numbers
        engine = choose_engine(self.task, self.samples, len(member), "stacked")
        return Work(self.task, self.samples, member, design.quantizer_objects(), design.seed, engine)


def measure(problem: Problem, design: Design, key: str) -> Outcome:
    """Train, quantize and attack, and return what was found; `UserError` for what cannot be audited."""
    begin = time.perf_counter()
    check(problem.task, problem.samples)
    halves, whole = (_tables(work) for work in (problem.halves(design), problem.whole(design)))
    member = halves[0].evidence.member
    return Outcome(
        key=key,
        problem=problem.name,
        cluster=problem.cluster,
        kind=problem.kind,
        metric=problem.metric,
        chance=problem.chance,
        members=int(member[0].sum()),
        trained=int(problem.trainable.sum()),
        held_out=int((~problem.trainable).sum()),
        facts=problem.facts,
        quantizers=[_outcome(problem, design, *pair) for pair in zip(halves, whole, strict=True)],
        seconds=round(time.perf_counter() - begin, 1),
    )


def _tables(work: Work) -> list[LossTable]:
    return assemble(work, collect(work, Local(), None, lambda done: None).groups)


def _outcome(problem: Problem, design: Design, halves: LossTable, whole: LossTable) -> QuantizerOutcome:
    audited, candidates = halves.audited, halves.candidates(design.shadows)
    lira = evaluate(LiRA().score(audited), audited.member, design.level)
    n = int(audited.member[0].sum())
    return QuantizerOutcome(
        name=halves.name,
        bits_per_weight=_mean([each.bits_per_weight for each in halves.traits]),
        sparsity=_mean([each.sparsity for each in halves.traits]),
        utility=problem.utility_of(np.asarray(whole.held_out_utility, dtype=np.float64), design.level),
        lira=lira.auc,
        advantage=lira.advantage,
        paired_replicates=_auc(PairedReplicates(), audited, design),
        loss_threshold=_auc(LossThreshold(), audited, design),
        indicator=_or_reason(
            lambda: indicator(candidates.losses, candidates.replicate, seed=design.seed, level=design.level)
        ),
        security=_or_reason(lambda: security(candidates.losses, n, DRAWS, design.seed, design.level)),
    )


def _mean(values: list[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _auc(attack: PairedReplicates | LossThreshold, table: Evidence, design: Design) -> Estimate:
    return evaluate(attack.score(table), table.member, design.level, ()).auc


def _or_reason(estimate: Callable[[], Estimate]) -> Measured:
    try:
        return estimate()
    except UserError as error:
        return Unmeasured(str(error))


def _code() -> str:
    home = Path(quantmis.__file__).parent
    files = [
        each for room in ROOMS for each in ([home / room] if room.endswith(".py") else (home / room).rglob("*.py"))
    ]
    return hashlib.sha256(b"".join(each.read_bytes() for each in sorted(files))).hexdigest()
