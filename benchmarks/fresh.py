"""The list of an audit on twelve fresh problems of other data and architectures, from 1, 2 and 4 trainings.

    python benchmarks/fresh.py FOLDER [--only NAME]

26 versions of 40 models of each problem: the first 32 make the truth, the strongest of LiRA and RMIA; the other 8 are
read in ones, twos and fours. Tau is over the pairs that the truth separates. Nothing was chosen on these problems.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import deceivers
import numpy as np
import torch
from _results import FIGURES, markdown, write_section
from channel import DECEIVERS, FAMILIES, NAMES, filled, path, tau
from fidelity_truth import STRONGEST, few, truth
from fresh_problems import PROBLEMS
from problems import Problem

from quantmis.analysis.ranking import ranking
from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.measures.distortion import distortion
from quantmis.measures.passing import passing
from quantmis.measures.predicted_advantage import predicted_advantage
from quantmis.measures.scored import Precision, ScoredVersion
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.tables import LossTable

SHADOWS, CHEAP, COUNTS = 32, 8, (1, 2, 4)
Arrays = dict[str, np.ndarray]


def scored(file: Arrays, rows: slice) -> list[ScoredVersion]:
    """Return each version of some trainings, as far as what lists them needs it."""
    member, audited = file["member"][rows], file["member"].any(axis=0)
    versions = list[ScoredVersion]()
    for number, name in enumerate(NAMES):
        losses, signal = (file[kind][number][rows].astype(float) for kind in ("losses", "signal"))
        evidence = Evidence(losses, member, signal=signal, label=file.get("label"))
        table = LossTable(name, evidence, None, None, "accuracy", (), audited, ~audited)
        bound = Bound(Unmeasured("no attack"), "")
        versions.append(ScoredVersion(table, {}, {}, bound, "lira", Precision(0.95), versions[0] if versions else None))
    return versions


@dataclass(frozen=True, eq=False)
class Listing:
    """Hold versions of some trainings with what lists them where they are tied."""

    versions: list[ScoredVersion]
    upset: dict[str, float | Unmeasured]
    passed: dict[str, float | Unmeasured]

    @staticmethod
    def of(versions: list[ScoredVersion]) -> "Listing":
        """Return the listing of these versions."""
        upset, passed = ({each.table.name: of(each) for each in versions} for of in (distortion, passing))
        return Listing(versions, upset, passed)

    def places(self, own: tuple[str, ...]) -> list[float]:
        """Return the place of each version in the list of an audit of some; NaN of all others."""
        some = [each for each in self.versions if each.table.name in own]
        upset, passed = ({name: each[name] for name in own} for each in (self.upset, self.passed))
        place = {row.name: float(number) for number, row in enumerate(ranking(some, upset, 0.95, passed).rows)}
        return [place.get(name, np.nan) for name in NAMES]


def misplaced(place: list[float], found: dict[str, list]) -> int:
    """Count deceivers in the first third of the list that the truth separates from a third of all as more exposed."""
    third = len(NAMES) // 3
    safer = np.zeros(len(NAMES), dtype=int)
    for i, j in found["separated"]:
        safer[i if found["value"][i] > found["value"][j] else j] += 1
    return sum(bool(place[NAMES.index(name)] < third and safer[NAMES.index(name)] >= third) for name in DECEIVERS)


def judged(problem: Problem, number: int, folder: Path) -> dict[int, list[dict[str, float]]]:
    """Return taus of the list by family, misplaced deceivers and the miss of the prediction, of every draw."""
    known = path(folder, problem).with_suffix(".json")
    if known.exists():
        return {int(count): draws for count, draws in json.loads(known.read_bytes()).items()}
    file = filled(problem, 5000 + number, folder, SHADOWS + CHEAP, "_fresh")
    found = truth(few(file, slice(0, SHADOWS)).tables)[STRONGEST]
    draws: dict[int, list[dict[str, float]]] = {count: [] for count in COUNTS}
    for start in range(SHADOWS, SHADOWS + CHEAP):
        upset = [-float(distortion(each)) for each in scored(file, slice(start, start + 1))]
        draws[1].append({family: tau(upset, found, own) for family, own in FAMILIES.items()})
        draws[1][-1]["misplaced"] = misplaced(np.argsort(np.argsort(upset)).tolist(), found)
    for count in COUNTS[1:]:
        for start in range(SHADOWS, SHADOWS + CHEAP, count):
            versions = scored(file, slice(start, start + count))
            listing = Listing.of(versions)
            of = {family: tau(listing.places(own), found, own) for family, own in FAMILIES.items()}
            predicted = [predicted_advantage(each) for each in versions]
            misses = [
                abs(each.value - true)
                for name, each, true in zip(NAMES, predicted, found["value"], strict=True)
                if isinstance(each, Estimate) and name not in DECEIVERS
            ]
            place = listing.places(NAMES)
            draws[count].append(of | {"misplaced": misplaced(place, found), "miss": float(np.mean(misses))})
    write_atomically(known, json.dumps(draws).encode())
    print(problem.name, flush=True)
    return draws


def figure(found: dict[str, dict[int, list[dict[str, float]]]]) -> None:
    """Draw the mean tau of each problem and family against the number of trainings."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "fresh"
    panels, axes = plt.subplots(1, len(FAMILIES), figsize=(11, 3.6), sharey=True, layout="constrained")
    for panel, family in zip(axes, FAMILIES, strict=True):
        for name, draws in found.items():
            panel.plot(COUNTS, [_mean(draws[count], family) for count in COUNTS], "o-", ms=3, lw=0.8, label=name)
        panel.set(title=family, xlabel="trainings", xticks=COUNTS)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="Kendall's tau of the list of an audit")
    panels.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=7)
    panels.savefig(FIGURES / "fresh.svg", metadata={"Date": None})


def _mean(draws: list[dict[str, float]], kind: str) -> float:
    values = [each[kind] for each in draws if kind in each and np.isfinite(each[kind])]
    return float(np.mean(values)) if values else float("nan")


def report(found: dict[str, dict[int, list[dict[str, float]]]]) -> str:
    """Return the table, a row for each problem and their mean."""
    kinds = [(family, count) for family in FAMILIES for count in COUNTS] + [("miss", 2), ("miss", 4)]
    kinds += [("misplaced", count) for count in COUNTS]
    values = {name: [_mean(draws[count], kind) for kind, count in kinds] for name, draws in found.items()}
    values["**mean**"] = [float(np.nanmean(column)) for column in zip(*values.values(), strict=True)]
    digits = [2 if kind != "miss" else 3 for kind, _ in kinds]
    rows = [
        [name, *("" if np.isnan(v) else f"{v:.{d}f}" for v, d in zip(row, digits, strict=True))]
        for name, row in values.items()
    ]
    words = {"miss": "predicted advantage is off by", "misplaced": "deceivers in the first third by mistake"}
    return markdown(["problem", *(f"{words.get(kind, kind)}, {count}" for kind, count in kinds)], rows)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--measured", action="store_true", help="write of what is in FOLDER, and measure nothing")
    parser.add_argument("--only", action="append", help="the name of a problem; nothing is written then")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    assert deceivers.QUANTIZERS is not None
    torch.set_num_threads(1)
    found = {
        problem.name: judged(problem, number, options.folder)
        for number, problem in enumerate(PROBLEMS)
        if (not options.only or problem.name in options.only)
        and (not options.measured or path(options.folder, problem).with_suffix(".json").exists())
    }
    text = f"""`python benchmarks/fresh.py FOLDER`. {len(found)} of {len(PROBLEMS)} problems, {len(NAMES)} versions; the
truth is the strongest of LiRA and RMIA with {SHADOWS} shadow models. Tau of the list of an audit from 2 and 4 trainings
and, from 1, of distortion.

{report(found)}

What limits it are deceivers of regressions: with one output, "class" scale and offset change all predictions at once,
and a squared loss is not linear in a prediction, so that the offset does not cancel in rho as it does in the signal of
a classification.

![tau of the list against trainings, by problem](figures/fresh.svg)"""
    print(text)
    if not options.only:
        figure(found)
        write_section("fresh problems", text)


if __name__ == "__main__":
    main()
