"""r_Q from many candidates of one training, against the r_Q of pairs of trainings that audits print.

    python benchmarks/one_training.py [--only NAME]

A training is finished, then tuned further on random halves of its own training set, 24 times: quantized, these are
candidates that differ by the data as the theory means it. Others are the checkpoints of the training. The rates are
measured on the samples of the training or on samples that no model was trained on. The truth is the AUC of LiRA
among 32 shadow models of each version; pairs of codebooks count that differ by more than `APART`.
"""

import argparse
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import torch
from _results import markdown, write_section
from fidelity_measures import area
from fidelity_tables import CODEBOOKS
from problems import mixture
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.preprocessing import scale
from torch import Tensor, nn

from quantmis.attacks import LiRA
from quantmis.evidence import Evidence
from quantmis.quantizers.base import QUANTIZERS
from quantmis.seeds import generator
from quantmis.theory.candidates import gaps

SHADOWS, TARGETS, CANDIDATES, APART = 32, 4, 24, 0.012
LATE = 8
Parameters = list[Tensor]
Rates = dict[str, float]


@dataclass(frozen=True)
class Case:
    """Hold the samples of a problem, the widths of its perceptron, its epochs, and whether it was chosen on."""

    x: np.ndarray
    y: np.ndarray
    widths: tuple[int, ...]
    epochs: int
    development: bool


def cases() -> dict[str, Case]:
    """Return the problems by name."""
    x, y = load_digits(return_X_y=True)
    sick = load_breast_cancer(return_X_y=True)
    few = make_classification(1500, 20, n_informative=10, n_classes=3, random_state=0, flip_y=0.1)
    many = make_classification(1800, 40, n_informative=15, n_classes=5, random_state=3, flip_y=0.05)
    mixtures = {(s, d): mixture(s, d, *more) for s, d, *more in MIXTURES}
    return {
        "digits": Case(x / 16, y, (64, 64, 10), 25, True),
        "breast cancer": Case(scale(sick[0]), sick[1], (30, 32, 2), 60, True),
        "mixture 32": _case(mixtures[1500, 32], (32, 128, 4), 50, True),
        "mixture 128": _case(mixtures[1500, 128], (128, 64, 10), 20, True),
        "three kinds": Case(scale(few[0]), few[1], (20, 64, 3), 50, True),
        "mixture 200": _case(mixtures[1200, 200], (200, 48, 6), 15, False),
        "mixture 24": _case(mixtures[2000, 24], (24, 160, 5), 50, False),
        "digits, deep": Case(x / 16, y, (64, 128, 64, 10), 20, False),
        "five kinds": Case(scale(many[0]), many[1], (40, 96, 5), 30, False),
    }


MIXTURES = (
    *((1500, 32, 4, 3.0, 0.2), (1500, 128, 10, 3.0, 0.0)),
    *((1200, 200, 6, 3.5, 0.0), (2000, 24, 5, 2.5, 0.15)),
)


def _case(samples, widths: tuple[int, ...], epochs: int, development: bool) -> Case:
    return Case(np.asarray(samples.x), np.asarray(samples.y), widths, epochs, development)


class Perceptrons:
    """Train many perceptrons at once, each on samples of its own."""

    def __init__(self, parameters: Parameters):
        self._parameters = [each.clone().requires_grad_() for each in parameters]
        self._adam = torch.optim.Adam(self._parameters, 1e-3)

    @staticmethod
    def new(widths: tuple[int, ...], models: int, seed: int) -> "Perceptrons":
        """Return perceptrons as torch initialises linear layers."""
        draw = torch.Generator().manual_seed(seed)
        shapes = [(shape, a**-0.5) for a, b in pairwise(widths) for shape in ((models, a, b), (models, 1, b))]
        return Perceptrons([(2 * torch.rand(shape, generator=draw) - 1) * reach for shape, reach in shapes])

    @property
    def parameters(self) -> Parameters:
        """A copy of the parameters of all."""
        return [each.detach().clone() for each in self._parameters]

    def epoch(self, x: Tensor, y: Tensor, rows: np.ndarray, draw: np.random.Generator, batch: int = 32) -> None:
        """Go once through `rows`, [models, samples], in an order of each model's own."""
        order = np.take_along_axis(rows, draw.random(rows.shape).argsort(axis=1), axis=1)
        for start in range(0, order.shape[1] - batch + 1, batch):
            chosen = torch.tensor(order[:, start : start + batch])
            outputs = forward(x[chosen], self._parameters)
            loss = nn.functional.cross_entropy(outputs.flatten(0, 1), y[chosen].flatten(), reduction="sum") / batch
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()


def forward(x: Tensor, parameters: Parameters) -> Tensor:
    """Return the outputs of every model, [models, samples, classes]."""
    for number in range(0, len(parameters), 2):
        x = torch.baddbmm(parameters[number + 1], x, parameters[number])
        x = x.relu() if number < len(parameters) - 2 else x
    return x


def losses(parameters: Parameters, x: Tensor, y: Tensor) -> np.ndarray:
    """Return the losses [models, samples]."""
    with torch.no_grad():
        each = [forward(x[None], [part[m : m + 1] for part in parameters])[0] for m in range(len(parameters[0]))]
    return torch.stack([nn.functional.cross_entropy(out, y, reduction="none") for out in each]).double().numpy()


def quantized(parameters: Parameters, name: str) -> Parameters:
    """Return the parameters after a quantizer, which sees each model as layers."""
    models = [_layers(parameters, number) for number in range(len(parameters[0]))]
    changed = QUANTIZERS.parse(name).apply(models, None, None)
    layers = [[part for part in each.model if isinstance(part, nn.Linear)] for each in changed]
    stacked = [[layer.weight.T, layer.bias[None]] for each in zip(*layers, strict=True) for layer in each]
    count = len(models)
    return [
        torch.stack([pair[kind].detach() for pair in stacked[start : start + count]])
        for start in range(0, len(stacked), count)
        for kind in (0, 1)
    ]


def _layers(parameters: Parameters, number: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        layer = nn.Linear(*weight.shape[1:])
        with torch.no_grad():
            layer.weight.copy_(weight[number].T)
            layer.bias.copy_(bias[number, 0])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True, eq=False)
class Trained:
    """Hold the models of a problem: all at their end, and of the targets checkpoints and tuned copies."""

    x: Tensor
    y: Tensor
    rows: np.ndarray
    held: np.ndarray
    final: Parameters
    checkpoints: list[Parameters]
    tuned: Parameters


def trained(case: Case) -> Trained:
    """Train shadow models and targets on complementary halves, and tune each target on halves of its half."""
    draw = generator(5, "one training")
    shuffled = draw.permutation(len(case.y))
    x, y = torch.tensor(case.x[shuffled], dtype=torch.float32), torch.tensor(case.y[shuffled])
    held, pool = np.split(np.arange(len(y)), [len(y) // 3])
    members = len(pool) // 2
    order = [draw.permutation(pool) for _ in range((SHADOWS + TARGETS) // 2)]
    rows = np.stack([part for each in order for part in (each[:members], each[members : 2 * members])])
    models, checkpoints = Perceptrons.new(case.widths, len(rows), seed=1), list[Parameters]()
    for epoch in range(case.epochs):
        models.epoch(x, y, rows, draw)
        if epoch >= case.epochs - CANDIDATES:
            checkpoints.append([part[SHADOWS:] for part in models.parameters])
    tuned = Perceptrons([part[SHADOWS:].repeat_interleave(CANDIDATES, 0) for part in models.parameters])
    halves = np.stack([draw.permutation(own)[: members // 2] for own in rows[SHADOWS:] for _ in range(CANDIDATES)])
    for _ in range(max(3, case.epochs // 5)):
        tuned.epoch(x, y, halves, draw)
    return Trained(x, y, rows, held, models.parameters, checkpoints, tuned.parameters)


def truth_and_rates(found: Trained, name: str) -> tuple[float, list[Rates]]:
    """Return the AUC of LiRA on a version and, of each target, all rates."""
    whole = losses(quantized(found.final, name), found.x, found.y)
    member = np.zeros(whole.shape, dtype=bool)
    np.put_along_axis(member, found.rows, values=True, axis=1)
    used = member.any(axis=0)
    own = whole[:SHADOWS, used]
    shadow = Evidence(own, member[:SHADOWS, used], signal=-np.log(np.expm1(np.maximum(own, 1e-12))))
    ends = whole[SHADOWS:]
    tuned = losses(quantized(found.tuned, name), found.x, found.y).reshape(TARGETS, CANDIDATES, -1)
    along = np.stack([losses(quantized(each, name), found.x, found.y) for each in found.checkpoints], axis=1)
    rates = [
        {
            "tuned on halves, losses of the training": mean_rate(tuned[number][:, found.rows[SHADOWS + number]]),
            "tuned on halves, held-out losses": mean_rate(tuned[number][:, found.held]),
            "tuned on halves, losses of the training, `min`": least(tuned[number][:, found.rows[SHADOWS + number]]),
            "checkpoints, losses of the training": mean_rate(along[number][:, found.rows[SHADOWS + number]]),
            "checkpoints, held-out losses": mean_rate(along[number][:, found.held]),
            "last checkpoints, variance of held-out differences": unsteady(along[number][-LATE:, found.held]),
            "pair of trainings (audits)": mean_rate(ends[[number, number ^ 1]][:, found.held]),
            "4 trainings (audits)": mean_rate(ends[:, found.held]),
            "2 trainings, ratio of sums": ratio(ends[[number, number ^ 1]][:, found.held]),
            "4 trainings, ratio of sums": ratio(ends[:, found.held]),
        }
        for number in range(TARGETS)
    ]
    return area(LiRA().score(shadow), shadow.member), rates


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = gaps(table)
    usable = np.triu(found.different & (found.variance > 0), 1)
    return found.gap[usable], found.variance[usable]


def mean_rate(table: np.ndarray) -> float:
    """Return the mean of `delta^2 / 2 sigma^2` over all pairs of candidates."""
    gap, variance = _pairs(table)
    return float((gap**2 / 2 / variance).mean()) if len(gap) else float("nan")


def ratio(table: np.ndarray) -> float:
    """Return the sum of `delta^2` over pairs over that of `2 sigma^2`."""
    gap, variance = _pairs(table)
    return float((gap**2).sum() / 2 / variance.sum()) if len(gap) else float("nan")


def least(table: np.ndarray) -> float:
    """Return the rate of the best candidate against the nearest other."""
    rates = gaps(table).rate[table.mean(axis=1).argmin()]
    return float(rates.min()) if np.isfinite(rates).any() else float("nan")


def unsteady(table: np.ndarray) -> float:
    """Return the variance of the differences of candidates, as a share of that of losses."""
    _, variance = _pairs(table)
    return float(variance.mean() / table.var(axis=1).mean()) if len(variance) else float("nan")


def taus(case: Case) -> tuple[Rates, int]:
    """Return the mean tau of each rate over targets, and how many pairs of codebooks count."""
    found = trained(case)
    by_name = {name: truth_and_rates(found, name) for name in CODEBOOKS.quantizers}
    apart = [(a, b) for a, b in combinations(by_name, 2) if abs(by_name[a][0] - by_name[b][0]) > APART]
    values: dict[str, list[float]] = {}
    for target in range(TARGETS):
        for kind in by_name["sign"][1][target]:
            rate = {name: each[1][target][kind] for name, each in by_name.items()}
            votes = [-np.sign(rate[a] - rate[b]) * np.sign(by_name[a][0] - by_name[b][0]) for a, b in apart]
            values.setdefault(kind, []).append(float(np.nan_to_num(votes).mean()))
    return {kind: float(np.mean(each)) for kind, each in values.items()}, len(apart)


def table(found: dict[str, tuple[Rates, int]], names: list[str]) -> str:
    """Return a row for each rate."""
    kinds = next(iter(found.values()))[0]
    rows = [
        [
            kind,
            f"{np.mean([found[name][0][kind] for name in names]):.2f}",
            *(f"{found[name][0][kind]:.2f}" for name in names),
        ]
        for kind in kinds
    ]
    return markdown(["rate", "mean", *(f"{name} ({found[name][1]} pairs)" for name in names)], rows)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="the name of a problem; nothing is written then")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    every = cases()
    found = {name: taus(case) for name, case in every.items() if only is None or name in only}
    if only:
        print(table(found, list(found)))
        return
    chosen, fresh = ([name for name in every if every[name].development == kind] for kind in (True, False))
    text = f"""`python benchmarks/one_training.py`. Kendall's tau of r_Q with the AUC of LiRA, {SHADOWS} shadow models,
over pairs of the codebooks that differ by more than {APART}; mean over {TARGETS} targets; {CANDIDATES} candidates
each.

Problems that rates were compared on:

{table(found, chosen)}

Fresh ones:

{table(found, fresh)}"""
    print(text)
    write_section("r_Q from one training", text)


if __name__ == "__main__":
    main()
