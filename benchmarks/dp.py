"""How fast private shadow models train, and whether any attack ever shows more than the certificate allows.

    python benchmarks/dp.py [--only race|certificate|worst]

Written to RESULTS.md. Opacus is the library that everybody trains private models with; here it trains the same models
one by one, on batches drawn in the same way.
"""

import argparse
import math
import time
import warnings

import numpy as np
import torch
from _results import markdown, write_section
from sklearn.datasets import load_digits
from torch import nn

from quantmis import seeds
from quantmis.attacks import ATTACKS
from quantmis.data import Samples
from quantmis.data.membership import by_coins
from quantmis.evidence import Evidence
from quantmis.models import DP, Recipe, Task, ensemble
from quantmis.models.dp import epsilon_of
from quantmis.models.private import descent, mechanism
from quantmis.models.training import Training, train
from quantmis.quantizers import QUANTIZERS
from quantmis.stats import Estimate
from quantmis.stats.interval import clopper_pearson
from quantmis.stats.metrics import Table, epsilon

MODELS, STEPS, BATCH, SEEDS = 64, 40, 32, 20
LEVEL, DELTA = 0.95, 1e-5
RUNS, RATE, NOISE, WORST_DELTA, THRESHOLD = 2000, 0.5, 0.5, 0.05, 1.27
"""Of the worst case; at this threshold so many runs show most."""
PACKAGES = ("torch", "numpy", "opacus", "dp-accounting")


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


def digits(number: int) -> Samples:
    x, y = load_digits(return_X_y=True)
    return Samples((x[:number] / 16).astype(np.float32), y[:number])


def race() -> str:
    """Train 64 models both ways, in one run, by the processor time of one thread."""
    samples, dp = digits(1796), DP(noise_multiplier=1.0, delta=DELTA)
    recipe = Recipe(max_steps=STEPS, batch_size=BATCH, optimizer="sgd", momentum=0.0, learning_rate=0.1, dp=dp)
    member = by_coins(MODELS, len(samples), seeds.generator(0, "membership"))
    training = Training(Task(mlp, recipe=recipe), samples, member, range(MODELS), 0, size=len(samples) // 2)
    seconds = {"stacked": math.inf, "opacus": math.inf}
    for _ in range(2):
        seconds["stacked"] = min(seconds["stacked"], timed(lambda: train(training)))
        seconds["opacus"] = min(seconds["opacus"], timed(lambda: by_opacus(samples, member)))
    per_step = {name: 1e3 * each / MODELS / STEPS for name, each in seconds.items()}
    table = [
        ["Opacus, one model after the other", f"{seconds['opacus']:.1f} s", f"{per_step['opacus']:.2f} ms", "1x"],
        [
            "here, all in one stack",
            f"{seconds['stacked']:.1f} s",
            f"{per_step['stacked']:.2f} ms",
            f"{seconds['opacus'] / seconds['stacked']:.1f}x",
        ],
    ]
    return (
        f"**{MODELS} private MLPs (64, 64, 64, 10) on digits**, {STEPS} steps of {BATCH} samples in expectation, "
        "processor time of one thread, the less of two. Aim: 5x.\n\n"
        + markdown(["", "all models", "one step of one model", ""], table)
    )


def timed(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def by_opacus(samples: Samples, member: np.ndarray) -> None:
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    for row in member:
        draw, rows = np.random.default_rng(0), np.flatnonzero(row)
        module = GradSampleModule(mlp())
        optimizer = DPOptimizer(
            torch.optim.SGD(module.parameters(), 0.1),
            noise_multiplier=1.0,
            max_grad_norm=1.0,
            expected_batch_size=BATCH,
        )
        for _ in range(STEPS):
            batch = rows[draw.random(len(rows)) < 2 * BATCH / len(samples)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()


def certificate() -> str:
    """Attack 32 private models of each seed, in full precision and in 4 bit, and count refuted certificates."""
    rows = [[f"{target:g}", *_attacked(target)] for target in (0.5, 8.0)]
    return (
        f"**Attacks against certificates.** {SEEDS} seeds, 32 MLPs each on wrongly labelled digits (nothing can be "
        "learnt but by heart), full precision and 4 bit, loss threshold, LiRA and RMIA: the largest lower bound on "
        f"epsilon at {LEVEL:.0%} against the certified one. Aim: larger in at most one of {SEEDS} seeds.\n\n"
        + markdown(["certified epsilon", "largest lower bound", "median", "seeds that refute it"], rows)
    )


def _attacked(target: float) -> list[str]:
    bounds = [_largest_bound(target, seed) for seed in range(SEEDS)]
    return [f"{max(bounds):.2f}", f"{np.median(bounds):.2f}", f"{sum(each > target for each in bounds)} of {SEEDS}"]


def _largest_bound(target: float, seed: int) -> float:
    plain = digits(200)
    samples = Samples(plain.x, np.random.default_rng(seed).permutation(plain.y))
    dp = DP(epsilon=target, delta=DELTA)
    recipe = Recipe(max_steps=20, batch_size=50, optimizer="sgd", momentum=0.0, learning_rate=1.0, dp=dp)
    member = by_coins(32, 200, seeds.generator(seed, "membership"))
    task = Task(small, recipe=recipe)
    modules = train(Training(task, samples, member, range(32), seed, size=100))
    return max(_bound(each, task, samples, member) for each in (modules, QUANTIZERS.parse("uniform(bits=4)")
               .quantize_many(modules)))  # fmt: skip


def _bound(models, task: Task, samples: Samples, member: np.ndarray) -> float:
    x, y = torch.from_numpy(samples.x), task.loss.targets(samples.y)
    with torch.no_grad():
        outputs = [getattr(each, "model", each)(x) for each in models]
    losses, signal = (
        np.stack([of(each, y).numpy() for each in outputs]) for of in (task.loss.losses, task.loss.signals)
    )
    evidence = Evidence(losses, member, signal=signal)
    tables = [
        Table.of(ATTACKS.parse(name).score(evidence), member, LEVEL) for name in ("loss_threshold", "lira", "rmia")
    ]
    found = [each.low for each in map(epsilon, tables) if isinstance(each, Estimate)]
    return max(found, default=0.0)


class Weight(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def worst() -> str:
    """Attack one step on one weight, where the attacker does as well as anybody can: the certificate is tight there."""
    certified = epsilon_of(NOISE, RATE, 1, WORST_DELTA)
    bounds = [_worst_bound(seed) for seed in range(SEEDS)]
    row = [f"{certified:.2f}", f"{np.median(bounds):.2f}", f"{max(bounds):.2f}",
           f"{sum(each > certified for each in bounds)} of {SEEDS}"]  # fmt: skip
    return (
        f"**The worst case itself.** One step on one weight, a record whose clipped gradient is as long as it may be, "
        f"{RUNS:,} trainings with it and as many without, an attacker who knows the best threshold; lower bounds "
        f"(Clopper-Pearson, {LEVEL:.0%}), delta {WORST_DELTA:g} taken off.\n\n"
        + markdown(["certified epsilon", "median lower bound", "largest", "seeds that refute it"], [row])
    )


def _worst_bound(seed: int) -> float:
    inside, outside = (_outcomes(is_in, 2 * seed + is_in) for is_in in (True, False))
    tpr, fpr = (int((each > THRESHOLD).sum()) for each in (inside, outside))
    low, high = clopper_pearson(tpr, RUNS, 0.975)[0], clopper_pearson(fpr, RUNS, 0.975)[1]
    return max(math.log(max(low - WORST_DELTA, 1e-12) / high), 0.0)


def _outcomes(is_in: bool, seed: int) -> np.ndarray:
    recipe = Recipe(max_steps=1, batch_size=1, dp=DP(noise_multiplier=NOISE, delta=WORST_DELTA))
    group = ensemble.Stack(Task(Weight, "mse", recipe), [Weight() for _ in range(RUNS)])
    x = torch.tensor([[100.0], [0.0], [0.0]])
    rows = [np.array([0, 1]) if is_in else np.array([1])] * RUNS
    orders = [np.random.default_rng([seed, run]) for run in range(RUNS)]
    noises = [torch.Generator().manual_seed(seed * RUNS + run) for run in range(RUNS)]
    assert mechanism(recipe, 2).rate == RATE
    for set_gradients in descent(group, recipe, rows, 2, orders, noises, (x, x / 2)):
        set_gradients()
    return -next(group.parameters()).grad.flatten().numpy()


PARTS = {"race": race, "certificate": certificate, "worst": worst}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    only = parser.parse_args().only
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Opacus, about its hooks
        parts = [part() for name, part in PARTS.items() if only in (None, name)]
    body = "\n\n".join(parts)
    print(body)
    if only is None:
        write_section("Differential privacy", body, PACKAGES)


if __name__ == "__main__":
    main()
