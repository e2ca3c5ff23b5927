"""How well the channel of a version orders versions by what they give away, and predicts how much that is.

    python benchmarks/channel.py FOLDER [--only NAME]

26 versions of 80 models of each problem: the first 64 models make the truth, the strongest of LiRA and RMIA; the other
16 are read in twos and fours. What the measure is made of was chosen on the development problems alone.
"""

import argparse
from pathlib import Path

import deceivers
import numpy as np
from _results import markdown, write_section
from fidelity_tables import CODEBOOKS, SHADOWS, UNLIKE, Family, arrays, tables
from fidelity_truth import STRONGEST, few, truth
from problems import PROBLEMS, Problem

from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.measures.passing import combined, rank_correlation
from quantmis.stats import distortion
from quantmis.theory.channel import Changes, advantage_after

CHEAP = 16
DECEIVERS = (
    *("little_used(size=1.0)", "little_used(size=3.0)", "class_scale(spread=0.5)", "class_offset(size=1.0)"),
    *("last_scaled(factor=0.3)", "last_scaled(factor=3.0)"),
)
NAMES = (*CODEBOOKS.quantizers, *(name for name in UNLIKE.quantizers if name not in CODEBOOKS.quantizers), *DECEIVERS)
FAMILIES = {
    "codebooks": CODEBOOKS.quantizers,
    "unlike": UNLIKE.quantizers,
    "deceivers": (
        "identity",
        "uniform(bits=2)",
        "sign",
        "ternary(sparsity=0.9)",
        "gptq(bits=3)",
        "gptq(bits=2)",
        *DECEIVERS,
    ),
}
DEVELOPMENT = (
    *("digits, narrow", "digits, wide", "mixture 128", "names 3000"),
    *("hia_hou, gcn_contextpred", "caco2_wang, gcn_contextpred"),
)
OTHER = ("mixture 96", "mixture 256", "digits, widest", "pgp_broccatelli, gcn_contextpred")
POWER = 1.25
COUNTS = (2, 4)


def path(folder: Path, problem: Problem) -> Path:
    """Return where the tables of a problem stand."""
    return folder / f"{''.join(each if each.isalnum() else '_' for each in problem.name)}.npz"


def filled(
    problem: Problem, seed: int, folder: Path, models: int = SHADOWS + CHEAP, suffix: str = "_channel"
) -> dict[str, np.ndarray]:
    """Return the arrays of a problem, from its file where there is one."""
    file = path(folder, problem)
    if not file.exists():
        family = Family(suffix, NAMES, calibrate_on="members")
        found = arrays(tables(problem, problem.task, models, seed, family))
        with (folder / "part").open("wb") as part:
            np.savez(part, allow_pickle=False, **found)
        write_atomically(file, (folder / "part").read_bytes())
        (folder / "part").unlink()
    with np.load(file) as saved:
        return dict(saved)


def numbers(file: dict[str, np.ndarray], count: int) -> list[dict[str, list[float]]]:
    """Return distortion, rho and what passes, each of all versions, of every draw of some trainings."""
    draws = []
    for start in range(SHADOWS, SHADOWS + CHEAP, count):
        evidence = few(file, slice(start, start + count)).everything
        draws.append(
            {
                "distortion": [-distortion(evidence[0], each) for each in evidence],
                "rho": [rho(evidence[0], each) for each in evidence],
                "passing": [combined(rho(evidence[0], each), within(evidence[0], each)) for each in evidence],
            }
        )
    return draws


def rho(full: Evidence, version: Evidence) -> float:
    """Return the correlation of the changes from one training to another, before and after."""
    before, after = (np.asarray(each.signal, dtype=float) for each in (full, version))
    return Changes.between(before, after, ~full.member).normal_scores().correlation().value


def within(full: Evidence, version: Evidence) -> float:
    """Return the rank correlation within classes on samples not trained on, the mean over trainings."""
    rows = zip(full.losses, version.losses, ~full.member, strict=True)
    none = np.zeros(full.losses.shape[1], dtype=int)
    classes = none if full.label is None else np.unique(full.label, return_inverse=True)[1]
    return float(np.mean([rank_correlation(one[held], other[held], classes[held]) for one, other, held in rows]))


def tau(values: list[float], found: dict[str, list], names: tuple[str, ...]) -> float:
    """Return Kendall's tau over the pairs of a family that the truth separates."""
    places = [NAMES.index(name) for name in names]
    pairs = [(i, j) for i, j in found["separated"] if i in places and j in places]
    signs = [np.sign(values[i] - values[j]) * np.sign(found["value"][i] - found["value"][j]) for i, j in pairs]
    return float(np.mean(signs)) if signs else float("nan")


def judged(names: tuple[str, ...], folder: Path) -> str:
    """Return the table of some problems."""
    taus: dict[tuple[str, str, int], list[float]] = {}
    misses: dict[int, list[float]] = {count: [] for count in COUNTS}
    for number, problem in enumerate(PROBLEMS):
        if problem.name not in names:
            continue
        file = filled(problem, 3000 + number, folder)
        found = truth(few(file, slice(0, SHADOWS)).tables)[STRONGEST]
        for count in COUNTS:
            for draw in numbers(file, count):
                for kind, values in draw.items():
                    for family, own in FAMILIES.items():
                        taus.setdefault((kind, family, count), []).append(tau(values, found, own))
                honest = range(len(NAMES) - len(DECEIVERS))
                expected = [advantage_after(found["value"][0], max(draw["rho"][k], 0.0) ** POWER) for k in honest]
                misses[count].append(float(np.mean([abs(expected[k] - found["value"][k]) for k in honest])))
    rows = [
        [kind, *(f"{np.nanmean(taus[kind, family, count]):.3f}" for family in FAMILIES for count in COUNTS)]
        for kind in ("distortion", "rho", "passing")
    ]
    heads = ["measure", *(f"{family}, {count} trainings" for family in FAMILIES for count in COUNTS)]
    errors = ", ".join(f"{np.mean(misses[count]):.3f} from {count} trainings" for count in COUNTS)
    said = f"Full precision's advantage after rho to the power {POWER} is off by {errors} on average."
    return f"{markdown(heads, rows)}\n\n{said}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="the name of a problem; nothing is written into RESULTS then")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    assert deceivers.QUANTIZERS is not None
    if given.only:
        print(judged(tuple(given.only), given.folder))
        return
    parts = ["Six problems on which the measure was chosen:", judged(DEVELOPMENT, given.folder)]
    parts += ["Four on which nothing was:", judged(OTHER, given.folder)]
    text = "\n\n".join(parts)
    print(text)
    write_section("the channel", text, ("torch", "numpy", "scipy"))


if __name__ == "__main__":
    main()
