"""How long shadow models take to train by the peers' own loops and by ours, all in one run."""

from collections.abc import Callable

import numpy as np
from _results import markdown
from sklearn.datasets import load_digits

from quantmis.data import complementary_halves

Called = Callable[[str, str, dict[str, np.ndarray], str], "dict[str, np.ndarray] | str"]
"""called(python, program, arrays, more) runs benchmarks/peers/PROGRAM and returns what it wrote, or why it did not."""

OURS, THEIRS = 32, 2
RACERS = (
    ("quantmis", "race_quantmis.py", "", "ours"),
    ("leakpro", "race_plain.py", "", "plain loop, DataLoader"),
    ("leakpro", "race_leakpro.py", "", "LeakPro, its default handler"),
    ("privacy_meter", "race_privacy_meter.py", "0", "Privacy Meter, `train`, no loader processes"),
    ("privacy_meter", "race_privacy_meter.py", "4", "Privacy Meter, `train`, 4 loader processes as it ships"),
)


def workloads() -> dict[str, dict[str, np.ndarray]]:
    """Return, by name, the data, the network, the passes over them, and who is trained on what."""
    draw = np.random.default_rng(0)
    images, labels = load_digits(return_X_y=True)
    kinds = {
        "digits, MLP 64-128-10": (images[:1198] / 16, labels[:1198], "DigitsMLP", 40),
        "noise, CNN 28 x 28": (draw.normal(size=(1000, 1, 28, 28)), draw.integers(0, 10, 1000), "SmallCNN", 2),
    }
    return {
        name: {
            "x": x.astype(np.float32),
            "y": y.astype(np.int64),
            "net": np.array(net),
            "epochs": np.array(epochs),
            "member": complementary_halves(OURS, len(x), draw),
        }
        for name, (x, y, net, epochs) in kinds.items()
    }


def raced(called: Called, engine: str = "auto") -> str:
    """Return what the race found, in Markdown; with an `engine` that is named, on the first of the workloads alone."""
    rows: list[list[object]] = []
    every = workloads()
    for name, arrays in every.items() if engine == "auto" else [*every.items()][:1]:
        own = 0.0
        for python, program, more, who in RACERS:
            some = arrays if python == "quantmis" else {**arrays, "member": arrays["member"][:THEIRS]}
            found = called(python, program, some, engine if python == "quantmis" else more)
            if isinstance(found, str):
                rows.append([name, who, "", "", "", found])
                continue
            seconds, wall = found["seconds"]
            own = own or seconds
            kind = f"{found['way']}, {OURS} models" if "way" in found else f"one by one, {THEIRS} models"
            before, most = found["memory"]
            ratio = "1" if python == "quantmis" else f"**{seconds / own:.1f}**"
            rows.append([name, f"{who} ({kind})", f"{1e3 * seconds:.0f} ms", ratio, f"{1e3 * wall:.0f} ms",
                         f"{before:.0f} to {most:.0f}"])  # fmt: skip
    header = ["data, network", "who", "processor, a model", "ratio", "wall, a model", "MiB"]
    return f"""`python benchmarks/peers.py FOLDER --training {engine}`. The same networks on the same halves: Adam,
batches of 32, one thread each. None of the peers trains shadow models together: each trains one after the other, by
a loop of its own or of the user. Processor time of the process and of its loaders, the choice of an
engine and (ours) filling the table in full precision included. The wall time depends on what else the
machine does. Memory: before training, with everything imported, and at most.

{markdown(header, rows)}

Ours by the engine `auto` includes its choice. It times the stacked way by the clock, so that on a busy machine, as this
one was, it may take the loop where stacking is faster.
SACRO-ML fits scikit-learn's models, PrivacyGuard takes scores and trains nothing: neither has a loop to race."""
