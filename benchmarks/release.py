"""What is gained by having several versions: on worlds whose gain is known, and on trained models.

    python benchmarks/release.py [--worlds 400]

writes its section of benchmarks/RESULTS.md and a figure. One process, some minutes of a core. The problems are of
scikit-learn and were chosen before the joint attacks were tried on them.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np
from _results import FIGURES, HERE, markdown, write_section
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import scale
from torch import nn

import quantmis as qm
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_gain import RELEASE_GAIN, release_gain
from quantmis.measures.release_strongest_alone import RELEASE_STRONGEST_ALONE
from quantmis.results import ReleaseResult
from quantmis.stats import Estimate

sys.path.append(str(HERE.parent / "tests" / "helpers"))
from released import accuracy, together, world  # the worlds of the tests

GAP, PAIRS = 0.6, 8
NOISES = ((1.0, 1.0), (0.5, 2.0), (0.5, 1.0), (0.25, 1.0, 2.0), (1.0, 1.2, 1.4, 3.0))
FIRST_SEED = 50_000
SHADOWS = 32
VERSIONS = (
    "sign", "ternary(sparsity=0.5)", "uniform(bits=2)", "ternary(sparsity=0.33)", "ternary(sparsity=0.9)",
    "uniform(bits=3)", "uniform(bits=4)", "uniform(bits=8)", "identity",
)  # fmt: skip
"""In the order in which they join the set: the lowest precision first."""


def coverage(noises: Sequence[float], worlds: int) -> list[object]:
    """Return a row: how often the interval of the gain holds the truth, over worlds of versions with these noises."""
    truth = accuracy(GAP, noises, PAIRS) - accuracy(GAP, [min(noises)], PAIRS)
    gains = list[Estimate]()
    for seed in range(worlds):
        gain = release_gain(together(world(np.random.default_rng(FIRST_SEED + seed), GAP, noises, PAIRS)))
        assert isinstance(gain, Estimate)
        gains.append(gain)
    share = float(np.mean([each.low <= truth <= each.high for each in gains]))
    found, weaker = np.mean([each.value for each in gains]), np.mean([each.high < 0 for each in gains])
    error = 100 * np.sqrt(share * (1 - share) / worlds)
    return [
        ", ".join(f"{each:g}" for each in noises), f"{100 * truth:.2f}", f"{100 * found:.2f}",
        f"{100 * share:.1f} ± {error:.1f}", f"{100 * weaker:.1f}",
    ]  # fmt: skip


def problems() -> dict[str, tuple[qm.Task, qm.Samples]]:
    """Return what is trained: digits, digits of which a fifth is labelled wrongly, and tumours."""
    digits, names = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    wrong = np.where(draw.random(len(names)) < 0.2, draw.integers(0, 10, len(names)), names)
    tumours, malignant = load_breast_cancer(return_X_y=True)

    def net(inputs: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, classes))

    recipe = qm.Recipe(epochs=40)
    return {
        "digits": (qm.Task(lambda: net(64, 10), recipe=recipe), qm.Samples(digits / 16, names)),
        "digits, a fifth labelled wrongly": (
            qm.Task(lambda: net(64, 10), recipe=recipe),
            qm.Samples(digits / 16, wrong),
        ),
        "breast cancer": (qm.Task(lambda: net(30, 2), recipe=recipe), qm.Samples(scale(tumours), malignant)),
    }


def releases(task: qm.Task, samples: qm.Samples) -> list[ReleaseResult]:
    """Return what sets of two, three and more versions give away."""
    sets = [list(VERSIONS[:count]) for count in range(2, len(VERSIONS) + 1)]
    quantizers = [each for each in VERSIONS if each != "identity"]
    options = {"quantizers": quantizers, "attacks": ["loss_threshold", "lira"], "shadows": SHADOWS, "release": sets}
    return list(qm.audit(task, samples, progress=False, **options).document.releases)


def percent(quantity: object) -> str:
    """Write a share, or a difference of shares, with its interval."""
    assert isinstance(quantity, Estimate)
    return f"{100 * quantity.value:.1f} ({100 * quantity.low:.1f} to {100 * quantity.high:.1f})"


def rows(name: str, sets: Sequence[ReleaseResult]) -> list[list[object]]:
    """Return a row for each release set of a problem."""
    measures = (RELEASE_ATTACK_ACCURACY, RELEASE_STRONGEST_ALONE, RELEASE_GAIN)
    return [
        [name, len(each.versions), VERSIONS[len(each.versions) - 1], *(percent(each[measure]) for measure in measures)]
        for each in sets
    ]


def figure(every: dict[str, list[ReleaseResult]]) -> None:
    """Draw the gain against the number of versions."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quantmis"
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    for shift, (name, sets) in enumerate(every.items()):
        gains = [each[RELEASE_GAIN] for each in sets]
        value, low, high = (np.array([100 * getattr(each, end) for each in gains]) for end in ("value", "low", "high"))
        place = np.array([len(each.versions) for each in sets]) + 0.12 * (shift - 1)
        axes.errorbar(place, value, [value - low, high - value], fmt="os^"[shift] + "-", capsize=2, label=name)
    axes.axhline(0, color="#999999", linewidth=1)
    joined = [f"{count}: + {VERSIONS[count - 1]}" for count in range(2, len(VERSIONS) + 1)]
    axes.set_xticks(range(2, len(VERSIONS) + 1), joined, fontsize=8, rotation=20, ha="right")
    axes.set_xlabel(f"versions released together; the first is {VERSIONS[0]}")
    axes.set_ylabel("gain over the strongest version alone,\npercentage points")
    axes.legend(frameon=False)
    drawing.savefig(FIGURES / "release.svg", metadata={"Date": None})
    plt.close(drawing)


def main() -> None:
    """Measure, draw, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    worlds, start = parser.parse_args().worlds, time.process_time()
    covered = [coverage(noises, worlds) for noises in NOISES]
    every = {name: releases(*parts) for name, parts in problems().items()}
    figure(every)
    weaker = sum(each[RELEASE_GAIN].high < 0 for sets in every.values() for each in sets)  # pyright: ignore[reportAttributeAccessIssue]
    known = markdown(
        ["noise of each version", "gain in truth", "mean", "interval holds it, %", "said to be weaker, %"], covered
    )
    trained = markdown(
        ["problem", "versions", "the last to join", "all of them, right %", "strongest alone", "gain, points"],
        [row for name, sets in every.items() for row in rows(name, sets)],
    )
    write_section(
        "release",
        f"{worlds} worlds of {2 * PAIRS} models and 300 samples each: every version is the full model with normal "
        f"noise of its own, so the gain over the strongest is known, in percentage points.\n\n{known}\n\n"
        f"{SHADOWS} trained models of each problem, versions added one by one, the lowest precision first; the joint "
        f"attack is weaker than the strongest alone beyond doubt in {weaker} sets. "
        f"{time.process_time() - start:.0f} s of a processor in all.\n\n{trained}\n\n![Gain](figures/release.svg)",
        ("numpy", "scipy", "torch"),
    )


if __name__ == "__main__":
    main()
