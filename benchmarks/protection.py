"""What protection costs: the advantage of adaptive attackers against utility, by rounding and by training.

    python benchmarks/protection.py FOLDER [--only NAME]

Six problems. Of each, an eighth of the samples is what protective rounding is fitted to, a quarter is what utility is
measured on, and models are trained on halves of the rest. 16 models (8 complementary pairs) stand for 64, which were
too dear. Every model goes through the whole procedure, so that the attackers, LiRA and RMIA, know it. FOLDER keeps what
was measured, a file for each problem and training, so that a run goes on where it was; the run is one core's.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import protection_page as page
import torch
from _results import write_section
from problems import Problem, admet, adult, cnn, digits, mlp, mnist
from protection_page import PROTECTIVE, UNIFORM
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import scale
from torch import nn

from quantmis import seeds
from quantmis.attacks import RMIA, LiRA
from quantmis.data import Samples, complementary_halves
from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.models import Recipe
from quantmis.models.rows import row
from quantmis.models.task import inputs
from quantmis.models.training import Training, train
from quantmis.quantizers import QUANTIZERS, Labelled, Supervision
from quantmis.stats import Estimate, security_upper_bound
from quantmis.stats.average import average, average_difference

MODELS = 16
FITTED, MEASURED = 1 / 8, 1 / 4
PLAIN = (
    *("identity", 'uniform(bits=4, per="channel")', UNIFORM, 'uniform(bits=2, per="channel")'),
    *(f'ternary(sparsity={each}, per="channel")' for each in (0.5, 0.8, 0.9)),
    *("gptq(bits=3)", "adaround(bits=3, iterations=200)", f"matched_noise(of={UNIFORM})"),
    'matched_noise(of=ternary(sparsity=0.5, per="channel"))',
)
FITTING = (
    PROTECTIVE,
    *(f'protective(through=ternary(sparsity={each}, per="channel"))' for each in (0.5, 0.9)),
    'protective(through=uniform(bits=2, per="channel"))',
    "protective(through=identity)",
    *(f'protective(through=identity, weight=2.0, gap="{each}")' for each in ("log_odds", "discriminator")),
    "protective(through=identity, weight=2.0)",
)
VERSIONS = {
    "as it is": (*PLAIN, *FITTING),
    "a quarter of the epochs": ("identity", UNIFORM, PROTECTIVE),
    "weight decay": ("identity", UNIFORM, PROTECTIVE),
    "on the fitted samples alone": ("identity", UNIFORM),
}
"""What every training is put through; the last trains on no member at all."""

TEMPERATURE = 4.0


def noisy_digits() -> Samples:
    """Return the digits with a tenth of the labels drawn at random."""
    samples, draw = digits(), seeds.generator(0, "protection", "labels")
    wrong = draw.random(len(samples)) < 0.1
    return replace(samples, y=np.where(wrong, draw.integers(10, size=len(samples)), samples.y))


def breast_cancer() -> Samples:
    """Return scikit-learn's 569 tumours."""
    x, y = load_breast_cancer(return_X_y=True)
    return Samples(scale(x), y)


def _problem(
    name: str, load: Callable[[], Samples], model: Callable[[], nn.Module], epochs: int, kind: str = "stacked"
) -> Problem:
    rate = 3e-3 if kind == "im2col" else 1e-3
    return Problem(name, "protection", load, model, Recipe(epochs=epochs, learning_rate=rate), kind=kind)


PROBLEMS = (
    _problem("digits", digits, partial(mlp, 64, 64, 10), 60),
    _problem("digits, a tenth of the labels wrong", noisy_digits, partial(mlp, 64, 64, 10), 60),
    _problem("breast cancer", breast_cancer, partial(mlp, 30, 64, 2), 80),
    _problem("Adult 3000", partial(adult, 3000), partial(mlp, 108, 64, 2), 40),
    _problem("molecules", partial(admet, "bbb_martins", "gcn_contextpred", True), partial(mlp, 300, 64, 2), 30),
    _problem("MNIST, CNN", partial(mnist, 1600, True), partial(cnn, 14, 10), 15, "im2col"),
)


@dataclass(frozen=True, eq=False)
class Split:
    """Hold rows of samples: those that rounding is fitted to, those measured on, and who is trained on what."""

    fitted: np.ndarray
    measured: np.ndarray
    member: np.ndarray

    @staticmethod
    def of(samples: int) -> "Split":
        """Return the division of that many samples."""
        draw = seeds.generator(0, "protection", samples)
        first, second = round(samples * FITTED), round(samples * (FITTED + MEASURED))
        fitted, measured, rest = np.split(draw.permutation(samples), [first, second])
        audited = rest[: len(rest) // 2 * 2]
        member = np.zeros((MODELS, samples), dtype=bool)
        member[:, audited] = complementary_halves(MODELS, len(audited), draw)
        return Split(np.sort(fitted), np.sort(measured), member)


def recipe_of(problem: Problem, training: str) -> Recipe:
    """Return how models of a problem are trained."""
    changes: dict[str, Recipe] = {
        "a quarter of the epochs": replace(problem.recipe, epochs=max(1, problem.recipe.epochs // 4)),
        "weight decay": replace(problem.recipe, optimizer="adamw", weight_decay=1.0),
    }
    return changes.get(training, problem.recipe)


def trained(problem: Problem, samples: Samples, split: Split, training: str) -> list[nn.Module]:
    """Return the models; those on the fitted samples alone are all trained on the same, and draw other weights."""
    member = split.member.copy()
    if training == "on the fitted samples alone":
        member[:] = False
        member[:, split.fitted] = True
    task = replace(problem, recipe=recipe_of(problem, training)).task
    return train(Training(task, samples, member, range(MODELS), 0, problem.kind))


class Tempered(nn.Module):
    """Divide the logits of a model by a temperature."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [samples, classes]."""
        return self.model(x) / TEMPERATURE


def versions(problem: Problem, samples: Samples, split: Split, models: list[nn.Module], name: str) -> list[nn.Module]:
    """Return what a quantizer makes of the models, each shown its own members."""
    if name == "temperature":
        return [Tempered(model) for model in models]
    quantizer, x, y = QUANTIZERS.parse(name), inputs(samples), problem.task.loss.targets(samples.y)
    held_out = Labelled(x, y, torch.from_numpy(split.fitted))
    members = [Labelled(x, y, torch.from_numpy(np.flatnonzero(each))) for each in split.member]
    shown = [Supervision(each, held_out, problem.task.loss) for each in members]
    streams = [torch.Generator().manual_seed(index) for index in range(MODELS)]
    return [each.model for each in quantizer.quantize_many(models, shown, streams)]


Numbers = dict[str, list[float]]


def measured(problem: Problem, samples: Samples, split: Split, models: list[nn.Module]) -> tuple[Numbers, np.ndarray]:
    """Return the advantage and the utility of versions, how fitted samples are told from fresh ones, and the hits."""
    task, audited = problem.task, split.member.any(0)
    x, y = inputs(samples), task.loss.targets(samples.y)
    is_measured = np.isin(np.arange(len(samples)), split.measured)
    rows = [row(model, task.loss, x, y, is_measured=is_measured) for model in models]
    losses, signal = np.stack([each.losses for each in rows]), np.stack([each.signals for each in rows])
    worth = np.stack([np.asarray(each.per_sample_utility, dtype=float)[split.measured] for each in rows])
    evidence = Evidence(losses[:, audited], split.member[:, audited], signal=signal[:, audited])
    scores = {attack.name: attack.score(evidence) for attack in (LiRA(), RMIA())}
    security = security_upper_bound(scores, evidence.member).security
    assert isinstance(security, Estimate)
    utility = average(worth, evidence.member)
    is_fitted = np.r_[np.ones(len(split.fitted)), np.zeros(len(split.measured))]
    told = [roc_auc_score(is_fitted, -np.r_[each[split.fitted], each[split.measured]]) for each in losses]
    numbers = {
        "advantage": [1 - security.value, 1 - security.high, 1 - security.low],
        "utility": [utility.value, utility.low, utility.high],
        "fitted": [float(np.mean(told))],
    }
    return numbers, worth


def file_of(problem: Problem, training: str, folder: Path) -> Path:
    """Return where the numbers of a part stand."""
    return folder / f"{''.join(each if each.isalnum() else '_' for each in f'{problem.name} {training}')}.json"


def part(problem: Problem, training: str, folder: Path) -> dict[str, Numbers]:
    """Return what was measured of the versions of one training, from its file where there is one."""
    file = file_of(problem, training, folder)
    if file.exists():
        return json.loads(file.read_bytes())
    samples = problem.load()
    split = Split.of(len(samples))
    models = trained(problem, samples, split, training)
    found: dict[str, Numbers] = {}
    worths: dict[str, np.ndarray] = {}
    for name in (*VERSIONS[training], *(("temperature",) if training == "as it is" else ())):
        made = versions(problem, samples, split, models, name)
        found[name], worths[name] = measured(problem, samples, split, made)
        print(problem.name, training, name, found[name], flush=True)
    for name, worth in worths.items():
        apart = asdict(average_difference(worth, worths[UNIFORM], split.member[:, split.member.any(0)]))
        found[name]["beside uniform"] = [apart["value"], apart["low"], apart["high"]]
    write_atomically(file, json.dumps(found).encode())
    return found


def main() -> None:
    """Measure what is missing in a folder, and write the section once all of it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="the name of a problem; nothing is written into RESULTS then")
    parser.add_argument("--measured", action="store_true", help="write of the problems that the folder holds whole")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    problems = [each for each in PROBLEMS if not asked.only or each.name in asked.only]
    if asked.measured:
        problems = [each for each in problems if all(file_of(each, one, asked.folder).exists() for one in VERSIONS)]
    parts = {each.name: {training: part(each, training, asked.folder) for training in VERSIONS} for each in problems}
    table, goals = page.reached(parts)
    print(table)
    if asked.only:
        return
    page.figure(parts)
    said = "Protective rounding to 3 bit has at most half the advantage of uniform 3 bit, at a utility not below the "
    said += f"interval of uniform's, on {sum(goals)} of {len(goals)} problems:"
    fronts = "Advantage / utility of every version and training:"
    guaranteed = "Linear heads on molecules with a guarantee at delta 1e-5, the mean of 20 draws:"
    picture = "![Advantage against utility of six problems](figures/protection.svg)"
    missing = [each.name for each in PROBLEMS if each.name not in parts]
    said = f"Not measured yet: {', '.join(missing)}.\n\n{said}" if missing else said
    words = [said, table, picture, fronts, page.fronts(parts), guaranteed, page.heads(), *page.answers(parts)]
    write_section("protection", "\n\n".join(words), ("torch", "numpy", "scipy", "scikit-learn"))


if __name__ == "__main__":
    main()
