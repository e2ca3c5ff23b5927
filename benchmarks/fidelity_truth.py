"""One problem of the fidelity study: the truth of 64 shadow models, and what few trainings say of it.

`python benchmarks/fidelity_truth.py FOLDER [NAME]` writes FOLDER/NAME.json beside each FOLDER/NAME.npz without one.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from fidelity_measures import WITHOUT_TRAINING, Few, measured, pairs
from fidelity_tables import CHEAP, SHADOWS, path
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


def evidence(file: dict[str, np.ndarray], rows: slice, prefix: str = "") -> tuple[Evidence, ...]:
    """Return the audited table of each quantizer."""
    member = file[f"{prefix}member"]
    shown = member.any(0)
    entropy, label = file.get(f"{prefix}entropy"), file.get(f"{prefix}label")
    return tuple(
        Evidence(
            losses[rows][:, shown].astype(float),
            member[rows][:, shown],
            signal=signal[rows][:, shown].astype(float),
            entropy=None if entropy is None else entropy[number][rows][:, shown].astype(float),
            label=None if label is None else label[shown],
        )
        for number, (losses, signal) in enumerate(zip(file[f"{prefix}losses"], file[f"{prefix}signal"], strict=True))
    )


def few(file: dict[str, np.ndarray], rows: slice, prefix: str = "") -> Few:
    """Return some trainings."""
    held_out = file[f"{prefix}losses"][:, rows][:, :, ~file[f"{prefix}member"].any(0)]
    return Few(evidence(file, rows, prefix), held_out.astype(float))


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


def stated(tables: tuple[Evidence, ...]) -> list[tuple[int, int]]:
    """Return the orders that an audit of these trainings states, the more exposed quantizer first; others are tied."""
    metrics = {str(number): PairedReplicates().movement(table) for number, table in enumerate(tables)}
    pairs = [each for each in compare_metrics(metrics, tables[0].member) if each.adjusted <= 0.05]
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
                _add(draws, count, {"predicted advantage": advantage, "stated": stated(some.tables)})
    for count in (2, 4, 8):
        for start in range(0, 8, count):
            same = few(file, slice(start, start + count), "shared_")
            values = [PairedReplicates().movement(table).value for table in same.tables]
            _add(draws, count, {"exposure, all trainings from one start": values})
    for name, values in WITHOUT_TRAINING.items():
        draws[name] = {"0": [values.tolist()]}
    many = few(file, slice(SHADOWS, SHADOWS + CHEAP))
    draws["r_Q, pairs (default)"][str(CHEAP)] = [[-pairs(losses) for losses in many.held_out]]
    return {"truth": truth(evidence(file, slice(0, SHADOWS))), "draws": draws, "seconds": float(file["seconds"])}


def _add(draws: dict[str, dict[str, list]], count: int, found: dict[str, list[float]]) -> None:
    for name, values in found.items():
        draws.setdefault(name, {}).setdefault(str(count), []).append(values)


def main() -> None:
    """Judge every problem whose tables are there and that was not judged before."""
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for problem in (each for each in PROBLEMS if not wanted or each.name in wanted):
        source = path(folder, problem)
        target = source.with_suffix(".json")
        if not source.exists() or target.exists():
            continue
        start = time.process_time()
        with np.load(source, allow_pickle=False) as arrays:
            found = judged(dict(arrays))
        write_atomically(target, json.dumps(found).encode())
        print(f"{problem.name}: {time.process_time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
