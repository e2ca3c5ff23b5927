"""The same score table through Privacy Meter, LeakPro, PrivacyGuard and SACRO-ML: do scores agree, at what cost?

    python benchmarks/peers.py FOLDER

FOLDER holds one virtual environment per peer (`docs/guides/peers.md` says how they are made); a peer whose environment
is missing, or which cannot run, is a line that says so. Nothing of theirs is part of this repository. The programs in
benchmarks/peers/ run in those environments and hand each peer one table: 64 models of scikit-learn's digits.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _results import HERE, markdown, write_section
from scipy.stats import norm, spearmanr
from sklearn.datasets import load_digits

import quantmis as qm
from quantmis.audit.demo import RECIPE, DigitsMLP
from quantmis.evidence import Evidence

MODELS, TARGETS = 64, 4
PEERS = {
    "privacy_meter": ("Privacy Meter", "src/privacymeter"),
    "leakpro": ("LeakPro", ""),
    "privacyguard": ("PrivacyGuard", ""),
    "sacroml": ("SACRO-ML", ""),
}
EXPLAINED = {
    ("privacy_meter", "rmia_offline"): "for its population it takes the mean of the largest half of the references' "
    "probabilities, for the samples that of those not trained on them; and counts ratios > 1, not >= 1",
    ("privacy_meter", "loss"): "its score is the negated probability: higher for non-members, the order is inverted",
    ("leakpro", "lira"): "variances with divisor n, ours n - 1; with its divisor ours differ by {same:.0e}",
    ("leakpro", "rmia"): "adds 1e-6 to p(x) and counts ratios > 1, not >= 1: steps of 1 / samples",
    ("privacyguard", "lira"): "the same definition",
    ("privacyguard", "rmia"): "counts ratios > 1, not >= 1: one step of 1 / samples",
    ("sacroml", "lira"): "variances with divisor n, ours n - 1; with its divisor ours differ by {same:.0e}",
}


def table() -> Evidence:
    """Return the table of the demo's models in full precision, in double precision."""
    with tempfile.TemporaryDirectory() as folder:
        task = qm.Task(DigitsMLP, recipe=RECIPE)
        x, y = load_digits(return_X_y=True)
        few = {"quantizers": ["uniform(bits=8)"], "attacks": ["loss_threshold"], "progress": False}
        qm.audit(task, qm.Samples(x / 16, y), shadows=MODELS, out=folder, **few)
        with np.load(Path(folder) / "tables" / "identity.npz", allow_pickle=False) as saved:
            shown = saved["member"].any(0)
            signal, member = saved["signal"][:, shown].astype(float), saved["member"][:, shown]
    return Evidence(np.logaddexp(0, -signal), member, signal=signal)


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Return scores and the processor seconds per target."""
    start = time.process_time()
    scores = work()
    return scores[:TARGETS], (time.process_time() - start) / len(scores)


def ours(evidence: Evidence) -> dict[str, tuple[np.ndarray, float]]:
    """Return our scores of the first targets, by attack, and what a target takes when all are scored."""
    return {
        "lira": timed(lambda: qm.attacks.LiRA(variance="per_example").score(evidence)),
        "rmia": timed(lambda: qm.attacks.RMIA().score(evidence)),
        "rmia_offline": timed(lambda: qm.attacks.RMIA(online=False).score(evidence)),
        "loss": timed(lambda: qm.attacks.LossThreshold().score(evidence)),
    }


def with_divisor_n(evidence: Evidence) -> np.ndarray:
    """Return LiRA's scores of the first targets with variances of divisor n, by SciPy's densities."""
    scores = []
    for target in range(TARGETS):
        rest = [row for row in range(MODELS) if row // 2 != target // 2]
        sides = [
            np.where(each, evidence.signals[rest], np.nan) for each in (evidence.member[rest], ~evidence.member[rest])
        ]
        logs = [norm.logpdf(evidence.signals[target], np.nanmean(side, 0), np.nanstd(side, 0)) for side in sides]
        scores.append(logs[0] - logs[1])
    return np.array(scores)


def called(peer: str, folder: Path, evidence: Evidence) -> dict[str, np.ndarray] | str:
    """Return what a peer's program wrote, or why it could not run."""
    python = folder / peer.replace("_", "") / "bin" / "python"
    if not python.exists():
        return "not installed"
    with tempfile.TemporaryDirectory() as work:
        np.savez(Path(work) / "in.npz", signal=evidence.signals, member=evidence.member)
        command = [
            python,
            HERE / "peers" / f"with_{peer}.py",
            f"{work}/in.npz",
            f"{work}/out.npz",
            folder / PEERS[peer][1],
        ]
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=clean, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        with np.load(f"{work}/out.npz", allow_pickle=False) as found:
            return dict(found)


def rows(peer: str, found: dict[str, np.ndarray], own: dict, same: np.ndarray) -> list[list[object]]:
    """Return a row for each attack of a peer."""
    lines: list[list[object]] = []
    for attack in (name for name in found if name in own):
        scores, seconds = own[attack]
        theirs, taken = found[attack], float(found[f"{attack}.seconds"])
        order = np.mean([spearmanr(a, b).statistic for a, b in zip(scores, theirs, strict=True)])
        why = EXPLAINED[peer, attack].format(same=np.abs(same - theirs).max() if attack == "lira" else 0)
        apart = f"{np.abs(scores - theirs).max():.0e}"
        ratio = f"{1000 * seconds:.2f} ms : {1000 * taken:.0f} ms = 1 : {taken / seconds:,.0f}"
        lines.append([PEERS[peer][0], attack, apart, f"{order:.6f}", ratio, why])
    return lines


def report(folder: Path) -> str:
    """Run every peer and return the section of RESULTS.md."""
    evidence = table()
    own, same = ours(evidence), with_divisor_n(evidence)
    lines: list[list[object]] = []
    memory = [f"ours {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the training included"]
    for peer, (name, _) in PEERS.items():
        found = called(peer, folder, evidence)
        if isinstance(found, str):
            lines.append([name, "", "", "", "", found])
            continue
        lines += rows(peer, found, own, same)
        memory.append(f"{name} {found['memory'][1]:.0f} MiB")
    header = [
        "peer",
        "attack",
        "largest difference",
        "rank correlation",
        "per target, ours : theirs",
        "why they differ",
    ]
    return f"""`python benchmarks/peers.py FOLDER`; docs/guides/peers.md says how environments are made.
One table, {MODELS} models x {evidence.samples} samples ({DigitsMLP.__name__} of the demo, {RECIPE.epochs} epochs), the
first {TARGETS} targets; references are all models but the target and its twin. Processor time of scoring one target on
one core, training excluded: ours scores all {MODELS} at once, the peers one after the other.

{markdown(header, lines)}

Peak memory of the process: {"; ".join(memory)}. The peers' figures hold their imports. None of them trains shadow
models together: each trains one after the other, and the section `training` compares that loop with ours.
"""


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    write_section("peers", report(parser.parse_args().folder), packages=("numpy", "scipy"))


if __name__ == "__main__":
    main()
