"""How fast the attacks score large tables, as ratios to the plain ways, measured in one run on one core.

    python benchmarks/attacks.py

writes its section of benchmarks/RESULTS.md. The plain ways are too slow to run whole: they run for a few targets,
and their time is that of one target times the number of targets.
"""

import time
from collections.abc import Callable

import numpy as np
from _results import peak, write_section

from quantmis.attacks import RMIA, LiRA
from quantmis.data.membership import complementary_halves
from quantmis.evidence import Evidence
from quantmis.stats import evaluate

LIRA_MODELS, LIRA_SAMPLES = 256, 50_000
RMIA_MODELS, RMIA_SAMPLES = 64, 10_000
TARGETS = 3


def table(models: int, samples: int) -> Evidence:
    """Return losses with an effect of the sample, noise, and a leak."""
    draw = np.random.default_rng(0)
    member = complementary_halves(models, samples, draw)
    return Evidence(2 * draw.normal(size=samples) ** 2 + draw.normal(size=member.shape) ** 2 - 0.3 * member, member)


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the processor time of a piece of work, which other work on the machine does not lengthen much."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def lira_of_one_target(evidence: Evidence, target: int) -> np.ndarray:
    """Score one target from masked sums over all other models but its twin."""
    rest = np.delete(np.arange(evidence.models), [target, evidence.twin[target]])
    signals, member = evidence.signals[rest], evidence.member[rest]
    score = np.zeros(evidence.samples)
    for side, sign in ((member, 1), (~member, -1)):
        count = side.sum(0)
        mean = (signals * side).sum(0) / count
        variance = ((signals - mean) ** 2 * side).sum(0) / (count - 1)
        score += sign * (-((evidence.signals[target] - mean) ** 2) / variance - np.log(variance)) / 2
    return score


def rmia_of_one_target(evidence: Evidence, target: int) -> np.ndarray:
    """Score one target from the matrix of all pairs of samples."""
    rest = np.delete(np.arange(evidence.models), [target, evidence.twin[target]])
    ratio = np.exp(-evidence.losses[target]) / np.exp(-evidence.losses[rest]).mean(0)
    return (ratio[:, None] / ratio[None, :] >= 1.0).mean(1)


def compared(
    attack: LiRA | RMIA, plain: Callable[[Evidence, int], np.ndarray], evidence: Evidence, targets: int
) -> str:
    """Return a row of the table: an attack on all targets, against the plain way on a few."""
    ours, scores = min((seconds(lambda: attack.score(evidence)) for _ in range(3)), key=lambda run: run[0])
    # A running sum needs no more memory than the table; the matrix form would be seen here.
    most = peak() / 1024
    runs = [seconds(lambda target=target: plain(evidence, target)) for target in range(targets)]
    apart = max(np.abs(scores[target] - expected).max() for target, (_, expected) in enumerate(runs))
    theirs = min(each for each, _ in runs) * evidence.models
    size = f"{evidence.models} x {evidence.samples:,}"
    return f"| {attack.name} | {size} | {ours:.1f} | {theirs:.0f} | {theirs / ours:.0f}x | {apart:.0e} | {most:.1f} |"


def main() -> None:
    """Measure and write the section."""
    rmia = compared(RMIA(), rmia_of_one_target, table(RMIA_MODELS, RMIA_SAMPLES), TARGETS)
    large = table(LIRA_MODELS, LIRA_SAMPLES)
    lira = compared(LiRA(variance="per_example"), lira_of_one_target, large, TARGETS)
    shrunken, scores = seconds(lambda: LiRA().score(large))
    metrics, _ = seconds(lambda: evaluate(scores, large.member))
    write_section(
        "attacks",
        f"""All models serve as target in turn. "Plain" is one target at a time in NumPy: for LiRA masked sums over the
other models but the twin, for RMIA the matrix of all pairs of samples; timed on a few targets and
scaled to all. Seconds are processor time on one core, the best of three. Memory is the peak of the process until then,
the table included.

| attack | models x samples | seconds | plain, seconds | ratio | largest difference | GiB |
|---|---|---|---|---|---|---|
{rmia}
{lira}

LiRA with the default shrunken variances takes {shrunken:.1f} s; every metric of its
{large.losses.size:,} scores with its interval takes {metrics:.1f} s.
""",
    )


if __name__ == "__main__":
    main()
