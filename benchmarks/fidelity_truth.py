"""One problem of the fidelity study: the truth of 64 shadow models, and what few trainings say of it.

`python benchmarks/fidelity_truth.py FOLDER [NAME]` writes FOLDER/NAME.json beside each FOLDER/NAME.npz without one.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from fidelity_measures import LEVEL, WITHOUT_TRAINING, Few, measured, pairs
from fidelity_tables import CHEAP, CODEBOOKS, FAMILIES, SHADOWS, path
from problems import PROBLEMS

from quantmis.attacks import RMIA, LiRA, PairedReplicates
from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.stats import security_upper_bound
from quantmis.stats.cluster import Linear
from quantmis.stats.compare import compare_metrics
from quantmis.stats.roc import auc, tally

TRAININGS = (1, 2, 4, 8)
DRAWS = 8
STRONGEST, TRUTHS = "advantage", ("advantage", "lira", "rmia")


def few(file: dict[str, np.ndarray], rows: slice, prefix: str = "") -> Few:
    """Return some trainings."""
    member = file[f"{prefix}member"]
    entropy, label = file.get(f"{prefix}entropy"), file.get(f"{prefix}label")
    everything = (
        Evidence(
            losses[rows].astype(float),
            member[rows],
            signal=signal[rows].astype(float),
            entropy=None if entropy is None else entropy[number][rows].astype(float),
            label=label,
        )
        for number, (losses, signal) in enumerate(zip(file[f"{prefix}losses"], file[f"{prefix}signal"], strict=True))
    )
    return Few(tuple(everything), member.any(0))


def truth(tables: tuple[Evidence, ...]) -> dict[str, dict[str, list]]:
    """Return, by kind of truth, the value of each quantizer and the pairs that it separates after Holm.

    `advantage`: of the strongest of LiRA and RMIA, as an audit ranks by; `lira`, `rmia`: the AUC of one of them.
    """
    metrics: dict[str, dict[str, Linear]] = {kind: {} for kind in TRUTHS}
    for number, table in enumerate(tables):
        scores = {"lira": LiRA().score(table), "rmia": RMIA().score(table)}
        right = security_upper_bound(scores, table.member).right
        assert right is not None
        metrics[STRONGEST][str(number)] = right
        for name, each in scores.items():
            metrics[name][str(number)] = auc(tally(each, table.member), table.member)
    found = {}
    for kind, by_number in metrics.items():
        pairs = [each for each in compare_metrics(by_number, tables[0].member) if each.adjusted <= 0.05]
        values = [2 * each.value - 1 if kind == STRONGEST else each.value for each in by_number.values()]
        found[kind] = {"value": values, "separated": [[int(each.first), int(each.second)] for each in pairs]}
    return found


def stated(some: Few) -> list[tuple[int, int]]:
    """Return the orders that an audit of these trainings states, the more exposed quantizer first; others are tied."""
    pairs = [each for each in some.compared if each.adjusted <= 1 - LEVEL]
    ordered = [(each.first, each.second)[:: 1 if each.estimate.value > 0 else -1] for each in pairs]
    return [(int(most), int(least)) for most, least in ordered]


def judged(file: dict[str, np.ndarray]) -> dict:
    """Return the truth and every measure of every draw of 1, 2, 4 and 8 trainings."""
    draws: dict[str, dict[str, list]] = {}
    for count in TRAININGS:
        step = max(count, 2)
        for start in range(SHADOWS, SHADOWS + CHEAP, step)[:DRAWS]:
            some = few(file, slice(start, start + count))
            _add(draws, count, measured(some))
            if count >= 2:
                advantage = [PairedReplicates().advantage(table).value for table in some.tables]
                _add(draws, count, {"predicted advantage": advantage, "stated": stated(some)})
    if tuple(file["names"]) == CODEBOOKS.quantizers:
        _of_codebooks(draws, file)
    return {"truth": truth(few(file, slice(0, SHADOWS)).tables), "draws": draws, "seconds": float(file["seconds"])}


def _of_codebooks(draws: dict[str, dict[str, list]], file: dict[str, np.ndarray]) -> None:
    """Add what codebooks alone were tried with: trainings from one start, counting bits, r_Q of many trainings."""
    for count in (2, 4, 8):
        for start in range(0, 8, count):
            same = few(file, slice(start, start + count), "shared_")
            values = [each.value for each in same.exposure.values()]
            _add(draws, count, {"exposure, all trainings from one start": values})
    for name, values in WITHOUT_TRAINING.items():
        draws[name] = {"0": [values.tolist()]}
    many = few(file, slice(SHADOWS, SHADOWS + CHEAP))
    draws["r_Q, pairs (default)"][str(CHEAP)] = [[-pairs(losses) for losses in many.held_out]]


def _add(draws: dict[str, dict[str, list]], count: int, found: dict[str, list[float]]) -> None:
    for name, values in found.items():
        draws.setdefault(name, {}).setdefault(str(count), []).append(values)


def main() -> None:
    """Judge every problem whose tables are there and that was not judged before."""
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    asked = (each for each in PROBLEMS if not wanted or each.name in wanted)
    for source in (path(folder, problem, family) for problem in asked for family in FAMILIES):
        target = source.with_suffix(".json")
        if not source.exists() or target.exists():
            continue
        start = time.process_time()
        with np.load(source, allow_pickle=False) as arrays:
            found = judged(dict(arrays))
        write_atomically(target, json.dumps(found).encode())
        print(f"{source.stem}: {time.process_time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
