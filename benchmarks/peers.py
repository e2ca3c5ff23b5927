"""The same score table through Privacy Meter, LeakPro, PrivacyGuard and SACRO-ML, and the same training: at what cost?

    python benchmarks/peers.py FOLDER                scores: the section `peers`
    python benchmarks/peers.py FOLDER --training auto    shadow models: the section `peers, training auto`

FOLDER holds one virtual environment per peer (`docs/guides/peers.md` says how they are made); a peer whose environment
is missing, or which cannot run, is a line that says so. Nothing of theirs is part of this repository. The programs in
benchmarks/peers/ run in those environments and hand each peer one table: 64 models of scikit-learn's digits. Ours too
runs in a process of its own, so that times and memory compare like with like.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from _environments import called, python_of
from _results import HERE, markdown, write_section
from peers_race import raced
from scipy.stats import norm, spearmanr
from sklearn.datasets import load_digits

import quantmis as qm
from quantmis.audit.demo import RECIPE, DigitsMLP
from quantmis.evidence import Evidence
from quantmis.models.engine import ENGINES

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


def ran(folder: Path, peer: str, program: str, arrays: dict[str, np.ndarray], more: str = "") -> dict | str:
    """Return what benchmarks/peers/PROGRAM wrote in the environment of `peer`, or why it could not run."""
    ours = peer == "quantmis"
    python = Path(sys.executable) if ours else python_of(folder, peer)
    source = "" if ours else folder / PEERS[peer][1]
    with tempfile.TemporaryDirectory() as work:
        np.savez(Path(work) / "in.npz", **arrays)
        written = Path(work) / "out.npz"
        return called(python, [HERE / "peers" / program, f"{work}/in.npz", written, source, more], written)


def rows(peer: str, found: dict[str, np.ndarray], own: dict[str, np.ndarray], same: np.ndarray) -> list[list[object]]:
    """Return a row for each attack of a peer."""
    lines: list[list[object]] = []
    for attack in (name for peered, name in EXPLAINED if peered == peer):
        scores, theirs = own[attack], found[attack]
        seconds, taken = float(own[f"{attack}.seconds"]), float(found[f"{attack}.seconds"])
        order = np.mean([spearmanr(a, b).statistic for a, b in zip(scores, theirs, strict=True)])
        why = EXPLAINED[peer, attack].format(same=np.abs(same - theirs).max() if attack == "lira" else 0)
        apart = f"{np.abs(scores - theirs).max():.0e}"
        ratio = f"{1000 * seconds:.2f} ms : {1000 * taken:.0f} ms = 1 : {taken / seconds:,.0f}"
        lines.append([PEERS[peer][0], attack, apart, f"{order:.6f}", ratio, why])
    return lines


def report(folder: Path) -> str:
    """Run every peer and return the section of RESULTS.md."""
    evidence = table()
    run, same = partial(ran, folder), with_divisor_n(evidence)
    arrays = {"signal": evidence.signals, "member": evidence.member}
    own = run("quantmis", "with_quantmis.py", arrays)
    if isinstance(own, str):
        raise SystemExit(own)
    lines, memory = [], [f"ours {_memory(own)}"]
    for peer, (name, _) in PEERS.items():
        found = run(peer, f"with_{peer}.py", arrays)
        if isinstance(found, str):
            lines.append([name, "", "", "", "", found])
            continue
        lines += rows(peer, found, own, same)
        memory.append(f"{name} {_memory(found)}")
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

Memory of the process, MiB with everything imported, and at most while scoring: {"; ".join(memory)}.
How long they train: sections `peers, training`.
"""


def _memory(found: dict[str, np.ndarray]) -> str:
    before, most = found["memory"]
    return f"{before:.0f} to {most:.0f}"


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--training", choices=ENGINES, help="race the training of shadow models, ours by this engine")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.training:
        section = f"peers, training {options.training}"
        write_section(section, raced(partial(ran, folder), options.training), packages=("torch", "numpy"))
        return
    write_section("peers", report(folder), packages=("torch", "numpy", "scipy"))


if __name__ == "__main__":
    main()
