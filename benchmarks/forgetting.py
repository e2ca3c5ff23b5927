"""What is left of what models were made to forget, in low precision; and how often the audit says so wrongly.

    python benchmarks/forgetting.py [--worlds 1000]

writes its section of benchmarks/RESULTS.md and a figure. One process, some minutes of a core. The worlds are those of
the tests; the models are small classifiers that remember wrong labels, because what was never remembered cannot be
forgotten.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from _results import FIGURES, HERE, markdown, write_section
from scipy import stats
from sklearn.datasets import load_digits
from torch import Tensor, nn

from quantmis.measures.forget_auc import FORGET_AUC, forget_auc
from quantmis.measures.forget_auc_change import FORGET_AUC_CHANGE, forget_auc_change
from quantmis.quantizers import Uniform
from quantmis.report.forgotten import NEAR, is_back
from quantmis.stats import Estimate
from quantmis.stats.forgetting import area, quality

sys.path.append(str(HERE.parent / "tests" / "helpers"))
from forgotten import FORGET, NEVER_SEEN, described, world  # the worlds of the tests

FIRST_SEED = 70_000
NOTHING_BACK = ((0.5,) * 2, (0.5,) * 5, (0.6,) * 5, (0.75,) * 5, (0.75,) * 10)
BACK = ((0.52, 0.58), (0.52, 0.62), (0.52, 0.71), (0.52, 0.52, 0.52, 0.52, 0.71))
BITS = (8, 6, 5, 4, 3, 2)
SEEDS = 5
TRAINED_ON, TO_FORGET = 600, 150


def said(aucs: Sequence[float], worlds: int) -> tuple[float, float, float, float]:
    """Return how often it is said that something comes back, that it is forgotten, that intervals hold."""
    rng, rows = np.random.default_rng(FIRST_SEED), list[tuple[bool, bool, bool, bool]]()
    for _ in range(worlds):
        versions = world(rng, aucs)
        records = [described(each, FORGET_AUC.name, FORGET_AUC_CHANGE.name) for each in versions]
        whole, change, last = forget_auc(versions[0]), forget_auc_change(versions[-1]), forget_auc(versions[-1])
        assert isinstance(whole, Estimate)
        assert isinstance(change, Estimate)
        assert isinstance(last, Estimate)
        back = any(is_back(each, len(records) - 1) for each in records[1:])
        truth = aucs[-1] - aucs[0]
        rows.append((back, whole.high <= NEAR, last.low <= aucs[-1] <= last.high, change.low <= truth <= change.high))
    shares = np.mean(rows, axis=0)
    return float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3])


def statements(cells: Sequence[Sequence[float]], worlds: int) -> list[list[object]]:
    """Return a row for each kind of world."""
    return [
        [
            f"{aucs[0]:g} in full precision; " + ", ".join(f"{each:g}" for each in aucs[1:]),
            *(f"{100 * share:.1f}" for share in said(aucs, worlds)),
        ]
        for aucs in cells
    ]


def false_tests(worlds: int) -> tuple[float, float]:
    """Return how often the two-sample test is below 0.05 where nothing differs: plain, and within seven classes."""
    rng, label = np.random.default_rng(FIRST_SEED), np.arange(300) % 7
    first = rng.random(300) < 0.2 + 0.08 * label
    plain = [quality(rng.normal(size=300), first, ~first) < 0.05 for _ in range(worlds)]
    within = [quality(rng.normal(size=300) + label, first, ~first, label) < 0.05 for _ in range(worlds)]
    return float(np.mean(plain)), float(np.mean(within))


@dataclass(frozen=True, eq=False)
class Data:
    """Hold digits, a third of them labelled wrongly, and which are to be retained, forgotten and never seen."""

    x: Tensor
    y: Tensor
    retained: np.ndarray
    forget: np.ndarray
    never_seen: np.ndarray

    @classmethod
    def of(cls, seed: int) -> "Data":
        """Return them divided as `seed` says; only those labelled wrongly are forgotten or held against these."""
        draw, (x, y) = np.random.default_rng(seed), load_digits(return_X_y=True)
        is_wrong = draw.random(len(y)) < 1 / 3
        y = np.where(is_wrong, (y + draw.integers(1, 10, len(y))) % 10, y)
        order = draw.permutation(len(y))
        trained, rest = order[:TRAINED_ON], order[TRAINED_ON:]
        forget = trained[is_wrong[trained]][:TO_FORGET]
        return cls(
            torch.from_numpy(x.astype(np.float32) / 16), torch.from_numpy(y),
            np.setdiff1d(trained, forget), forget, rest[is_wrong[rest]],
        )  # fmt: skip

    def loss(self, model: nn.Module, rows: np.ndarray) -> Tensor:
        """Return the loss of each of the rows."""
        return nn.functional.cross_entropy(model(self.x[rows]), self.y[rows], reduction="none")


def fit(model: nn.Module, objective: Callable[[nn.Module], Tensor], steps: int, rate: float) -> nn.Module:
    """Return a copy of the model that was trained so many steps further."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(model).backward()
        optimizer.step()
    return model


def ascent(model: nn.Module, data: Data) -> Tensor:
    """Return the objective of gradient ascent on what is to be forgotten."""
    return data.loss(model, data.retained).mean() - 0.1 * data.loss(model, data.forget).mean()


def preference(model: nn.Module, data: Data, before: nn.Module, beta: float = 0.1) -> Tensor:
    """Return the objective of NPO (Zhang et al. 2024, arXiv 2404.05868)."""
    with torch.no_grad():
        reference = data.loss(before, data.forget)
    less_likely = data.loss(model, data.forget) - reference
    npo = -2 / beta * nn.functional.logsigmoid(beta * less_likely).mean()
    return data.loss(model, data.retained).mean() + 0.2 * npo


def signal(model: nn.Module, data: Data) -> np.ndarray:
    """Return the logit of the right class of every sample."""
    with torch.no_grad():
        p = model(data.x).double().softmax(-1).gather(-1, data.y[:, None])[:, 0].clamp(1e-12, 1 - 1e-12)
    return torch.logit(p).numpy()


def until_forgotten(model: nn.Module, objective: Callable[[nn.Module], Tensor], data: Data) -> nn.Module:
    """Unlearn a few steps at a time until the AUC is that of a coin: whoever unlearns looks at full precision."""
    for _ in range(100):
        if told(model, data) <= 0.5:
            break
        model = fit(model, objective, 2, 1e-3)
    return model


def told(model: nn.Module, data: Data) -> float:
    """Return the AUC of what is to be forgotten against what was never seen, of one class."""
    first, other = np.zeros(len(data.y), dtype=bool), np.zeros(len(data.y), dtype=bool)
    first[data.forget], other[data.never_seen] = True, True
    return area(signal(model, data), first, other, data.y.numpy()).value


def models_of(seed: int) -> dict[str, tuple[nn.Module, Data]]:
    """Return a model that remembers, two that were made to forget, and one that never saw."""
    torch.manual_seed(seed)
    data, fresh = Data.of(seed), nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    trained = np.concatenate([data.retained, data.forget])
    before = fit(fresh, lambda model: data.loss(model, trained).mean(), 300, 5e-3)
    found = {
        "remembers": before,
        "gradient ascent": until_forgotten(before, partial(ascent, data=data), data),
        "NPO": until_forgotten(before, partial(preference, data=data, before=before), data),
        "retrained without": fit(fresh, lambda model: data.loss(model, data.retained).mean(), 300, 5e-3),
    }
    return {name: (model, data) for name, model in found.items()}


def by_bits() -> dict[str, np.ndarray]:
    """Return the AUC of each kind of model, [seeds, versions], full precision first."""
    found: dict[str, list[list[float]]] = {}
    for seed in range(SEEDS):
        for name, (model, data) in models_of(seed).items():
            versions = [model, *(Uniform(bits=bits).quantize(model).model for bits in BITS)]
            found.setdefault(name, []).append([told(each, data) for each in versions])
    return {name: np.array(each) for name, each in found.items()}


def mean_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds and the reach of its interval of 95 %."""
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    return values.mean(0), float(stats.t.ppf(0.975, len(values) - 1)) * error


def figure(aucs: dict[str, np.ndarray]) -> None:
    """Draw the AUC of what was to be forgotten against the bits of a weight."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quantmis"
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    place = np.arange(len(BITS) + 1)
    for shift, (name, values) in enumerate(aucs.items()):
        value, reach = mean_of(values)
        axes.errorbar(place + 0.06 * (shift - 1.5), value, reach, fmt="so^x"[shift] + "-", capsize=2, label=name)
    axes.axhline(0.5, color="#999999", linewidth=1)
    axes.set_xticks(place, ["full precision", *map(str, BITS)])
    axes.set_xlabel("bits of a weight")
    axes.set_ylabel("AUC, forgotten against never seen")
    axes.legend(frameon=False)
    drawing.savefig(FIGURES / "forgetting.svg", metadata={"Date": None})
    plt.close(drawing)


def main() -> None:
    """Measure, draw, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    worlds, start = parser.parse_args().worlds, time.process_time()
    torch.set_num_threads(1)
    aucs = by_bits()
    figure(aucs)
    head = ["AUC in truth", "said to come back, %", "said to be forgotten, %", "AUC held, %", "change held, %"]
    plain, within = false_tests(worlds)
    columns = ["model", "full precision", *(f"{bits} bits" for bits in BITS)]
    table = markdown(
        columns,
        [
            [name, *(f"{v:.3f} ± {r:.3f}" for v, r in zip(*mean_of(values), strict=True))]
            for name, values in aucs.items()
        ],
    )
    nothing, something = (markdown(head, statements(cells, worlds)) for cells in (NOTHING_BACK, BACK))
    write_section(
        "forgetting",
        f"{worlds} worlds of each kind, {FORGET} samples to be forgotten and {NEVER_SEEN} never seen; versions share "
        f"80 % of the variance of their scores. Nothing comes back:\n\n{nothing}\n\nSomething does:\n\n{something}\n\n"
        f"The two-sample test is below 0.05 in {100 * plain:.1f} % of worlds without a difference, and in "
        f"{100 * within:.1f} % within seven classes.\n\n"
        f"Digits of which a third is labelled wrongly, {SEEDS} trainings of a perceptron of 256 units on {TRAINED_ON}; "
        f"up to {TO_FORGET} of the wrongly labelled are to be forgotten, until their AUC is 0.5 in full precision, "
        "for 200 steps at most. "
        "Mean AUC over trainings, with its interval of 95 %. "
        f"{time.process_time() - start:.0f} s of a processor in all.\n\n{table}"
        "\n\n![AUC against bits](figures/forgetting.svg)",
        ("numpy", "scipy", "torch"),
    )


if __name__ == "__main__":
    main()
