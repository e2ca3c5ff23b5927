"""Is finding QM019 raised for versions that spare members, and for no others?

    python benchmarks/contradictions.py FOLDER

The tables are those of benchmarks/channel.py, which fills the folder. Of each version of ten problems: how far the
truth (64 shadow models) lies above what the channel predicts, and how often the finding is raised from 2 and 4
trainings and with 64 shadow models. `member_sparing` adds noise to the signals of models, to those of members a third.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import deceivers
import numpy as np
from _results import markdown, write_section
from channel import CHEAP, COUNTS, DECEIVERS, DEVELOPMENT, NAMES, OTHER, SHADOWS, filled
from fidelity_tables import CODEBOOKS
from problems import PROBLEMS

from quantmis.analysis.data_findings import spares_members
from quantmis.attacks import RMIA, LiRA
from quantmis.evidence import Evidence
from quantmis.measures.channel_correlation import channel_correlation
from quantmis.measures.predicted_advantage import EXPONENT, predicted_advantage
from quantmis.measures.scored import Precision, ScoredVersion
from quantmis.seeds import generator
from quantmis.stats import Bound, Estimate, Unmeasured, security_upper_bound
from quantmis.tables import LossTable
from quantmis.theory.channel import advantage_after

SPARING = {"member_sparing(size=1.0)": 1.0, "member_sparing(size=3.0)": 3.0}
FAMILIES = {
    "codebooks": CODEBOOKS.quantizers[1:],
    "noise of the weights": tuple(name for name in NAMES if name.startswith(("matched_noise", "stochastic"))),
    "GPTQ calibrated on members": tuple(name for name in NAMES if name.startswith("gptq")),
    **{f"`{name}`": (name,) for name in (*DECEIVERS, *SPARING)},
}
Arrays = dict[str, np.ndarray]


def sparing(file: Arrays, size: float, seed: int) -> Arrays:
    """Return full precision with noise on signals, less of it on members': in deviations of what trainings change."""
    signal, member = file["signal"][0].astype(float), file["member"]
    noise = size * (signal - signal.mean(axis=0)).std() * generator(seed, "sparing").normal(size=signal.shape)
    noise *= np.where(member, 1 / 3, 1.0)
    losses = np.logaddexp(0.0, -(signal + noise)) if "label" in file else -(signal + noise)
    return {"signal": signal + noise, "losses": losses}


def versions(file: Arrays, seed: int) -> dict[str, Arrays]:
    """Return the losses and signals of every version, full precision first."""
    found = {name: {kind: file[kind][number] for kind in ("losses", "signal")} for number, name in enumerate(NAMES)}
    return found | {name: sparing(file, size, seed) for name, size in SPARING.items()}


def scored(file: Arrays, rows: slice, seed: int, with_attacks: bool) -> Iterator[ScoredVersion]:
    """Yield each version of some trainings as an audit would have scored it."""
    member, audited = file["member"][rows], file["member"].any(axis=0)
    whole: ScoredVersion | None = None
    for name, arrays in versions(file, seed).items():
        losses, signal = (arrays[kind][rows].astype(float) for kind in ("losses", "signal"))
        evidence = Evidence(losses, member, signal=signal, label=file.get("label"))
        table = LossTable(name, evidence, None, None, "accuracy", (), audited, ~audited)
        scores = {each.name: each.score(table.audited) for each in (LiRA(), RMIA())} if with_attacks else {}
        bound = security_upper_bound(scores, table.audited.member) if scores else Bound(Unmeasured("no attack"), "")
        refer = frozenset(scores)
        version = ScoredVersion(table, dict(scores), {}, bound, "lira", Precision(0.95), whole, refer=refer)
        whole = whole or version
        yield version


def gaps(file: Arrays, seed: int) -> tuple[dict[str, float], dict[str, bool]]:
    """Return how far the truth lies above the prediction from it in full precision, and whether the finding says so."""
    above, raised, full = dict[str, float](), dict[str, bool](), 0.0
    for version in scored(file, slice(0, SHADOWS), seed, with_attacks=True):
        assert version.bound.right is not None
        truth, rho = 2 * version.bound.right.value - 1, channel_correlation(version)
        full = truth if version.is_full_precision else full
        passed = rho.value if isinstance(rho, Estimate) else 0.0
        above[version.table.name] = truth - advantage_after(max(full, 0.0), max(passed, 0.0) ** EXPONENT)
        raised[version.table.name] = spares_members(version, predicted_advantage(version))
    return above, raised


def counted(folder: Path) -> str:
    """Return the table over all problems."""
    above: dict[str, list[float]] = {}
    raised: dict[tuple[str, int], list[bool]] = {}
    for number, problem in enumerate(PROBLEMS):
        if problem.name not in (*DEVELOPMENT, *OTHER):
            continue
        file = filled(problem, 3000 + number, folder)
        truth, with_shadows = gaps(file, number)
        for name in truth:
            above.setdefault(name, []).append(truth[name])
            raised.setdefault((name, SHADOWS), []).append(with_shadows[name])
        for count in COUNTS:
            for start in range(SHADOWS, SHADOWS + CHEAP, count):
                for each in scored(file, slice(start, start + count), number, with_attacks=False):
                    finding = spares_members(each, predicted_advantage(each))
                    raised.setdefault((each.table.name, count), []).append(finding)
        print(problem.name, flush=True)
    return _table(above, raised)


def _table(above: dict[str, list[float]], raised: dict[tuple[str, int], list[bool]]) -> str:
    rows = []
    for family, names in FAMILIES.items():
        beyond = np.concatenate([above[name] for name in names])
        shares = [np.concatenate([raised[name, count] for name in names]) for count in (*COUNTS, SHADOWS)]
        rows.append(
            [
                family,
                f"{beyond.mean():+.3f} ({np.quantile(beyond, 0.1):+.3f} to {np.quantile(beyond, 0.9):+.3f})",
                *(f"{100 * each.mean():.1f} % of {len(each):,}" for each in shares),
            ]
        )
    heads = ["versions", "truth above the prediction: mean (10 to 90 %)"]
    return markdown([*heads, *(f"raised, {count} trainings" for count in (*COUNTS, SHADOWS))], rows)


def main() -> None:
    """Count and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    assert deceivers.QUANTIZERS is not None
    intro = "`python benchmarks/contradictions.py FOLDER`, on the ten problems of section the channel."
    text = f"{intro}\n\n{counted(folder)}"
    print(text)
    write_section("members spared", text, ("torch", "numpy", "scipy"))


if __name__ == "__main__":
    main()
