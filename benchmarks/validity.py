"""How often intervals contain the truth and statements are right, on worlds whose truth is known.

    python benchmarks/validity.py FOLDER [--rounds 1000]

writes its section of benchmarks/RESULTS.md. One process, in rounds that give every cell a replication, so that the
cells are alike; a thousand of them take an hour of a processor. What was drawn is kept in FOLDER, and a run goes on
where the last one ended. Constants were chosen with the development seeds.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _results import FIGURES, markdown, write_section
from scipy import stats
from validity_worlds import WORLDS, Effects, Versions, World, deceiving

from quantmis.attacks import LiRA, PairedReplicates
from quantmis.data.membership import complementary_halves
from quantmis.evidence import Evidence
from quantmis.stats import Estimate, compare_metrics, evaluate, most_exposed, simultaneous, worse_than_best
from quantmis.stats.cluster import Linear
from quantmis.stats.heldout import best_advantage
from quantmis.stats.metrics import Table
from quantmis.stats.roc import auc, subset, tally

DEVELOPMENT, FRESH = 1000, 90_000
"""The first seed of either; a round adds one."""

MODELS, FEW = (1, 2, 4, 8, 16, 64), (2, 4, 8, 16)
SAMPLES, POPULATION = 400, (400, 300, 60)
EQUAL_WORLDS, KEPT_EVERY = 2, 10
"""In how many worlds a round draws equal versions, and after how many rounds what was drawn is kept."""
EQUAL = (1.0,) * 10
ORDERED = (0.0, 0.1, 0.3, 0.6, 0.9, 1.2, 1.6, 2.2, 3.0)
TRAINING = {0.05: 1.25, 0.1: 2, 0.2: 5}
"""What a version adds to what a model remembers, and the ratio of variance that makes (see `stats.compare`)."""
ORDERS = "equal versions told apart"
DRAWN = ("AUC", "AUC between twins", "AUC of LiRA", "TPR at 10 %", "advantage, bound on MIS", "exposure between twins")
DECEIVING = ("scaled", "offset", "spared")
Hits = dict[tuple[str, ...], list[float]]
Areas = dict[tuple[str, ...], list[list[float]]]


class Truth:
    """Hold what metrics are where models or samples have no end: scores of members and of non-members, and exposure."""

    def __init__(self, tables: list[Evidence]):
        self.inside = np.sort(np.concatenate([-each.losses[each.member] for each in tables]))
        self.outside = np.sort(np.concatenate([-each.losses[~each.member] for each in tables]))
        below = np.searchsorted(self.outside, self.inside) / len(self.outside)
        self.auc = float(below.mean())
        self.tpr = self.rate(self.inside, float(np.quantile(self.outside, 0.9)))
        twins = tables[0].models > 1
        self.exposure = float(np.mean([PairedReplicates().movement(each).value for each in tables])) if twins else None
        self.area = float(np.mean([PairedReplicates().area(each).value for each in tables])) if twins else None

    @staticmethod
    def rate(scores: np.ndarray, at: float) -> float:
        return 1 - float(np.searchsorted(scores, at)) / len(scores)

    def advantage(self, scores: np.ndarray, member: np.ndarray) -> float:
        """Return what the thresholds that halves of these scores chose are worth in truth."""
        table, gains = Table.of(scores, member, 0.95), []
        for side in (table.half, ~table.half):
            chosen = best_advantage(subset(table.counts, member, side))
            at = float(table.counts.score[chosen.level])
            gain = self.rate(self.inside, at) - self.rate(self.outside, at)
            gains.append(-gain if chosen.is_reversed else gain)
        return max(float(np.mean(gains)), 0.0)


def truth_of(world: World, effects: Effects | None, rng: np.random.Generator) -> Truth:
    """Return the truth about models of these effects, or about all models of the world."""
    if effects is not None:
        return Truth([world.draw(effects, 20_000, rng)])
    models, samples, tables = POPULATION
    return Truth([world.table(models, samples, rng) for _ in range(tables)])


def truth_of_version(noise: float, rng: np.random.Generator) -> Truth:
    """Return the truth about all models of a world in a version with so much noise.

    Of as many models as that of the world: what a version adds to each of a few dozen would show in it.
    """
    models, samples, tables = POPULATION
    version = Versions(WORLDS["mild"], (noise,), 0.1)
    return Truth([version.draw(models, samples, rng)[0] for _ in range(tables)])


def contains(estimate: Estimate, truth: float) -> float:
    return float(estimate.low - 1e-9 <= truth <= estimate.high + 1e-9)


def intervals(name: str, models: int, truth: Truth, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield whether each interval of one replication contains the truth."""
    world = WORLDS[name]
    effects = world.effects(models, rng)
    evidence = world.draw(effects, SAMPLES, rng)
    about = truth if models > 2 else truth_of(world, effects, rng)
    scores, member = -evidence.losses, evidence.member
    measured = evaluate(scores, member, false_positive_rates=(0.1,))
    yield "AUC", contains(measured.auc, about.auc)
    yield "advantage, bound on MIS", contains(measured.advantage, about.advantage(scores, member))
    yield "TPR at 10 %", contains(measured.tpr[0.1], about.tpr)
    if name == "null":
        yield "false alarm (advantage above 0)", float(measured.advantage.low > 0)
    if models > 1:
        yield "exposure between twins", contains(PairedReplicates().exposure(evidence), about.exposure)
        area = PairedReplicates().area(evidence)
        yield "AUC between twins", contains(Table.of(scores, member, 0.95).proportion(area), about.area)


def lira(name: str, models: int, rng: np.random.Generator) -> Estimate:
    evidence = WORLDS[name].table(models, SAMPLES, rng)
    return evaluate(LiRA().score(evidence), evidence.member, false_positive_rates=(), each_other=True).auc


def areas(versions: list[Evidence]) -> dict[str, Linear]:
    return {str(number): PairedReplicates().area(each) for number, each in enumerate(versions)}


def movements(versions: list[Evidence]) -> dict[str, Linear]:
    return {str(number): PairedReplicates().movement(each) for number, each in enumerate(versions)}


def equal(name: str, models: int, training: float, rng: np.random.Generator) -> float:
    """Return whether any order is stated between ten versions equal in law."""
    versions = Versions(WORLDS[name], EQUAL, training).draw(models, SAMPLES, rng)
    return float(any(pair.adjusted < 0.05 for pair in compare_metrics(areas(versions), versions[0].member)))


def orders(
    name: str, models: int, rng: np.random.Generator, metric: Callable[[list[Evidence]], dict[str, Linear]]
) -> tuple[float, float, float]:
    """Return the shares of real orders that are stated, and of all that are stated the wrong way, without and with
    versions that deceive.
    """
    versions = Versions(WORLDS[name], ORDERED).draw(models, SAMPLES, rng)
    place = [float(number) for number in range(len(ORDERED))]  # the higher, the less is given away
    extra = [deceiving(versions[3], how, rng) for how in DECEIVING]
    place += [3.0, 3.0, -1.0]  # the last gives away more than any
    compared = compare_metrics(metric([*versions, *extra]), versions[0].member)
    stated, wrong, deceived, real, all_real = 0, 0, 0, 0, 0
    for pair in compared:
        first, second = int(pair.first), int(pair.second)
        if place[first] == place[second]:
            continue
        plain = max(first, second) < len(ORDERED)
        is_stated = pair.adjusted < 0.05
        is_wrong = is_stated and (pair.estimate.value > 0) != (place[first] < place[second])
        real, stated, wrong = real + plain, stated + (plain and is_stated), wrong + (plain and is_wrong)
        all_real, deceived = all_real + 1, deceived + is_wrong
    return stated / real, wrong / real, deceived / all_real


def named(leaks: np.ndarray, models: int, rng: np.random.Generator) -> float:
    """Return whether the record named first has its truth inside."""
    member = complementary_halves(models, len(leaks), rng)
    signal = rng.normal(size=len(leaks)) + rng.normal(size=member.shape) + leaks * member
    [first] = most_exposed(LiRA().score(Evidence(-signal, member, signal=signal)), member, 1)
    return contains(first.exposure, float(stats.norm.cdf(leaks[first.sample] / np.sqrt(2))))


def shipped(models: int, truths: dict[str, Truth], rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield whether what is said of a chosen version fails: of the best-looking of ten equal ones, of any of nine."""
    versions = Versions(WORLDS["mild"], EQUAL, 0.1).draw(models, SAMPLES, rng)
    member = versions[0].member
    metrics = {str(k): auc(tally(-each.losses, member), member) for k, each in enumerate(versions)}
    best = min(metrics, key=lambda each: metrics[each].value)
    alone = Table.of(-versions[int(best)].losses, member, 0.95).proportion(metrics[best])
    truth = truths["noise 1.0"].auc
    yield "the shipped version is worse than its own interval says", float(truth > alone.high)
    together = simultaneous(metrics, member)[best]
    yield "the shipped version is worse than the interval of all together says", float(truth > together.high)
    ordered = Versions(WORLDS["mild"], ORDERED).draw(models, SAMPLES, rng)
    worth = {str(k): truths[f"noise {noise}"].area for k, noise in enumerate(ORDERED)}
    most, least = worse_than_best(areas(ordered), member), min(worth.values())
    yield "any of nine is worse than the best by more than said", float(any(worth[k] - least > most[k] for k in worth))


def one_round(seed: int, truths: dict[str, Truth], areas_of_lira: Areas, hits: Hits) -> None:
    """Add a replication of every cell."""
    for number, name in enumerate(WORLDS):
        for models in MODELS:
            rng = np.random.default_rng([seed, number, models])
            for what, hit in intervals(name, models, truths[name], rng):
                hits[what, name, str(models)].append(hit)
            if models >= 8:
                area = lira(name, models, rng)
                areas_of_lira["AUC of LiRA", name, str(models)].append([area.value, area.low, area.high])
        equal_too = (number - seed * EQUAL_WORLDS) % len(WORLDS) < EQUAL_WORLDS
        for models in FEW:
            rng = np.random.default_rng([seed, 77, number, models])
            add_statements(name, models, rng, hits, equal_too)
    for models in (16, 64):
        rng = np.random.default_rng([seed, 78, models])
        for name, leaks in (("null", np.zeros(SAMPLES)), ("rare", 3.0 * (rng.random(SAMPLES) < 0.02))):
            hits["record named first", name, str(models)].append(named(leaks, models, rng))
        for what, hit in shipped(models, truths, rng):
            hits[what, "mild", str(models)].append(hit)


def add_statements(name: str, models: int, rng: np.random.Generator, hits: Hits, equal_too: bool) -> None:
    """Add what is stated of equal versions (`equal_too`), and of versions with an order."""
    for training, ratio in TRAINING.items() if equal_too else ():
        cell = (ORDERS, f"all worlds, ratio {ratio}", str(models))
        hits[cell].append(equal(name, models, training, rng))
    for what, metric in (("AUC", areas), ("exposure", movements)) if name in ("mild", "strong") else ():
        shares = orders(name, models, rng, metric)
        for kind, share in zip(("stated", "wrong", "wrong, with deceiving"), shares, strict=True):
            hits[f"orders by {what}: {kind}", name, str(models)].append(share)


def all_truths() -> dict[str, Truth]:
    rng = np.random.default_rng(5)
    truths = {name: truth_of(world, None, rng) for name, world in WORLDS.items()}
    for noise in sorted({*ORDERED, *EQUAL}):
        truths[f"noise {noise}"] = truth_of_version(noise, rng)
    return truths


def measure(first_seed: int, rounds: int, truths: dict[str, Truth], kept: Path) -> Hits:
    """Return what was hit in these rounds, those that are kept already and those that are not."""
    done, hits, areas_of_lira = read(kept)
    for number in range(done, rounds):
        one_round(first_seed + number, truths, areas_of_lira, hits)
        if (number + 1) % KEPT_EVERY == 0 or number + 1 == rounds:
            write(kept, number + 1, hits, areas_of_lira)
    for cell, areas_found in areas_of_lira.items():
        value, low, high = np.array(areas_found).T
        hits[cell] = [float(each) for each in (low <= value.mean()) & (value.mean() <= high)]
    return hits


def read(kept: Path) -> tuple[int, Hits, Areas]:
    """Return how many rounds are kept, and what they drew."""
    if not kept.exists():
        return 0, defaultdict(list), defaultdict(list)
    rounds, hits, areas_found = json.loads(kept.read_text(encoding="utf-8"))
    tables = [defaultdict(list, {tuple(cell): drawn for cell, drawn in each}) for each in (hits, areas_found)]
    return rounds, tables[0], tables[1]


def write(kept: Path, rounds: int, hits: Hits, areas_of_lira: Areas) -> None:
    """Keep what was drawn, whole or not at all."""
    new = kept.with_suffix(".new")
    tables = [list(each.items()) for each in (hits, areas_of_lira)]
    new.write_text(json.dumps([rounds, *tables]), encoding="utf-8")
    new.replace(kept)


def rows(hits: Hits) -> list[list[str]]:
    """Return a row per interval or statement and world, a column per number of models, in percent."""
    cells = sorted({(what, name) for what, name, _ in hits}, key=lambda cell: cell[0])
    return [[what, name, *(_percent(hits.get((what, name, str(models)))) for models in MODELS)] for what, name in cells]


def _percent(found: list[float] | None) -> str:
    return "" if not found else f"{100 * np.mean(found):.1f}"


def extremes(hits: Hits) -> list[list[str]]:
    """Return for each interval and statement its lowest and highest cell and the number of replications."""
    found = defaultdict(list)
    for (what, name, models), each in hits.items():
        found[what].append((100 * float(np.mean(each)), f"{name}, {models}", len(each)))
    return [
        [what, *(f"{end[0]:.1f} ({end[1]})" for end in (min(cells), max(cells))), f"{min(c[2] for c in cells)}"]
        for what, cells in sorted(found.items())
    ]


def figure(hits: Hits) -> None:
    """Draw each interval's coverage and how often equal versions are told apart, a dot per world."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "quantmis"
    from matplotlib import pyplot as plt

    drawing, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    whole = sorted({what for what, *_ in hits if what in DRAWN or what == ORDERS})
    for panel, named, aim in ((panels[0], [each for each in whole if each != ORDERS], 95), (panels[1], [ORDERS], 5)):
        for number, what in enumerate(named):
            cells = [
                (int(models), 100 * float(np.mean(each))) for (one, _, models), each in hits.items() if one == what
            ]
            models, share = np.array(cells).T
            panel.scatter(models * 1.05 ** (number - len(named) / 2), share, s=14, label=what)
        panel.axhline(aim, color="#999999", linestyle="--", linewidth=1)
        panel.set_xscale("log", base=2)
        panel.set_xticks(MODELS, map(str, MODELS))
        panel.set_xlabel("models")
        panel.legend(fontsize=7)
    panels[0].set_ylabel("intervals that hold the truth, %")
    panels[1].set_ylabel("audits that state an order, %")
    FIGURES.mkdir(exist_ok=True)
    drawing.savefig(FIGURES / "validity.svg", metadata={"Date": None})


def main() -> None:
    """Measure and write the section."""
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--rounds", type=int, default=1000)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    truths, developing = all_truths(), max(given.rounds // 10, 1)
    developed = measure(DEVELOPMENT, developing, truths, given.folder / "development.json")
    fresh = measure(FRESH, given.rounds, truths, given.folder / "fresh.json")
    figure(fresh)
    worst = ["", "lowest cell", "highest cell", "replications, fewest"]
    write_section(
        "validity",
        f"""`python benchmarks/validity.py FOLDER`. Worlds: `benchmarks/validity_worlds.py`; {SAMPLES} samples.
Per cent. Coverage of 95 % intervals, and how often a statement is wrong. The truth about 1 and 2 models is of these
very models over samples without end, about more that of all models of the world; that of an advantage is what
the chosen thresholds are worth. "Ratio": variance that trainings add between equal versions, 1 for none; on small
trained networks it was 1.0 to 1.7. Fresh seeds {FRESH} to {FRESH + given.rounds - 1}, a replication of each cell for
each seed; the development seeds, {DEVELOPMENT} to {DEVELOPMENT + developing - 1}, come second. Constants of the product
were chosen on small trained networks and with development seeds.

{markdown(["what", "world", *(f"{models} models" for models in MODELS)], rows(fresh))}

![Intervals that hold the truth, and equal versions told apart, by models](figures/validity.svg)

Fresh seeds, the extremes:

{markdown(worst, extremes(fresh))}

Development seeds, the extremes:

{markdown(worst, extremes(developed))}
""",
    )


if __name__ == "__main__":
    main()
