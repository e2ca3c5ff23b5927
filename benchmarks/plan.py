"""Whether an audit takes as long as `quantmis plan` says: both on the same audits, in processes of their own.

    python benchmarks/plan.py [--only NAME] [--folder DIR]

Written to RESULTS.md; what was measured before is read from DIR, where it is given. All times are processor time of one
process and one thread, because the machine was shared: plan and audit are both made to read that clock.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _results import markdown, write_section
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

from quantmis import Recipe, Samples, Target, Task
from quantmis.audit.estimate.plan import planned
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import AuditRequest, audit_request
from quantmis.audit.run import run

BODY = """`python benchmarks/plan.py`. Seconds of processor time, one thread: what `quantmis plan` says of an audit, and
what the audit then took in another process, from the call to the written report. {summary}

{table}"""


def digits(images: bool = False, samples: int = 1000) -> Samples:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 1, 8, 8) if images else (x / 16).astype("float32")
    return Samples(x[:samples], y[:samples])


def people() -> Samples:
    x, y = load_breast_cancer(return_X_y=True)
    return Samples((x - x.mean(0)) / x.std(0), y)


def head(features: int, classes: int, width: int = 64) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))


def cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def trained(make: Callable[[], nn.Module], samples: Samples, rows: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.tensor(samples.x[rows])), torch.tensor(samples.y[rows])).backward()
        optimizer.step()
    return model


def target(make: Callable[[], nn.Module], samples: Samples) -> Target:
    members, others = np.random.default_rng(0).permutation(len(samples))[: len(samples) // 2 * 2].reshape(2, -1)
    return Target(trained(make, samples, members), members, others)


METHODS = ["uniform(bits=4)", "sign"]
AUDITS: dict[str, Callable[[], tuple[Task, Samples, Target | None, dict[str, object]]]] = {
    "table, 8 shadows": lambda: (Task(head(30, 2), recipe=Recipe(epochs=10)), people(), None, {"shadows": 8}),
    "table, 24 shadows": lambda: (Task(head(30, 2), recipe=Recipe(epochs=5)), people(), None, {"shadows": 24}),
    "table, indicator": lambda: (Task(head(30, 2), recipe=Recipe(epochs=20)), people(), None, {"depth": "indicator"}),
    "digits, 12 shadows": lambda: (
        Task(head(64, 10), recipe=Recipe(epochs=5)),
        digits(samples=700),
        None,
        {"shadows": 12},
    ),
    "digits, CNN, 8 shadows": lambda: (Task(cnn, recipe=Recipe(epochs=2)), digits(True, 400), None, {"shadows": 8}),
    "table, as it is": lambda: (Task(head(30, 2)), people(), target(head(30, 2), people()), {}),
    "digits, CNN, as it is": lambda: (Task(cnn), digits(True, 400), target(cnn, digits(True, 400)), {}),
    "table, target and 8 shadows": lambda: (
        Task(head(30, 2), recipe=Recipe(epochs=5)),
        people(),
        target(head(30, 2), people()),
        {"shadows": 8},
    ),
}


def requested(name: str, out: Path | None) -> AuditRequest:
    task, samples, model, options = AUDITS[name]()
    return audit_request(task, samples, model, AuditOptions.of(memory=0.2, **options), out, "", METHODS)


def timed(name: str, kind: str, pipe: "multiprocessing.connection.Connection") -> None:
    """Send what a plan says in its parts, or what an audit took in its stages; a process does either once."""
    time.perf_counter = time.monotonic = time.process_time
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        request = requested(name, Path(folder) / "out")
        start = time.process_time()
        if kind == "plan":
            said = planned(request)
            pipe.send((said.whole, said.prepare, said.seconds, said.attack, said.report))
        else:
            result = run(request, progress=False)
            whole, stages = time.process_time() - start, result.document.environment.seconds
            pipe.send((whole, stages["plan"], stages["train and quantize"], stages["attack"], len(result.versions)))


def apart(name: str, kind: str) -> tuple[float, ...]:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=timed, args=(name, kind, there))
    process.start()
    times = here.recv()
    process.join()
    return times


def measured(name: str, folder: Path | None) -> tuple[list[float], list[float]]:
    """Return what the plan of an audit says and what the audit takes, once for a folder."""
    kept = None if folder is None else folder / f"{list(AUDITS).index(name)}.json"
    if kept is not None and kept.exists():
        return json.loads(kept.read_text())
    times = list(apart(name, "plan")), list(apart(name, "audit"))
    if kept is not None:
        kept.write_text(json.dumps(times))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(AUDITS))
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    rows, ratios = list[list[str]](), list[float]()
    for name in [asked.only] if asked.only else AUDITS:
        said, took = measured(name, asked.folder)
        ratios.append(said[0] / took[0])
        parts = [f"{a:.1f} / {b:.1f}" for a, b in zip(said[2:4], took[2:4], strict=True)]
        rows.append([name, f"{said[0]:.1f}", f"{took[0]:.1f}", f"{ratios[-1]:.2f}", *parts])
        print(rows[-1], said, took, file=sys.stderr, flush=True)
    if asked.only is None:
        within = sum(abs(each - 1) <= 0.3 for each in ratios)
        span = f"from {min(ratios):.2f} to {max(ratios):.2f}"
        summary = f"Within 30 % of it: {within} of {len(ratios)}; the ratios run {span}."
        heads = ["audit", "said, s", "took, s", "said / took", "tables: said / took", "attacks: said / took"]
        write_section("What an audit takes", BODY.format(summary=summary, table=markdown(heads, rows)))


if __name__ == "__main__":
    main()
