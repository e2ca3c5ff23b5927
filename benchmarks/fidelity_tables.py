"""Fill the loss tables of the fidelity study, outside the repository: a file per problem and family of quantizers.

    python benchmarks/fidelity_tables.py FOLDER [--only NAME] [--list]

Each file is whole or absent. One that exists is left alone, so that an interrupted study goes on where it was. Of the
models of a problem the first 64 make the truth; the others are for the cheap methods, which so never see a model of the
truth.
"""

import argparse
import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from problems import PROBLEMS, Problem
from torch import nn

from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.planning import plan
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.files import write_atomically
from quantmis.models import Task
from quantmis.tables import LossTable

SHADOWS = 64
CHEAP = 32
SHARING = 8


@dataclass(frozen=True)
class Family:
    """Hold quantizers that are judged together; `suffix` ends the names of their files."""

    suffix: str
    quantizers: tuple[str, ...]
    calibrate_on: str = "held_out"


CODEBOOKS = Family(
    "",
    (
        "identity",
        "uniform(bits=8)",
        "uniform(bits=4)",
        'uniform(bits=4, per="channel")',
        "uniform(bits=3)",
        "uniform(bits=2)",
        "normal_float(bits=3)",
        "k_means(bits=2)",
        "sign",
        "ternary(sparsity=0.33)",
        "ternary(sparsity=0.5)",
        "ternary(sparsity=0.9)",
    ),
)
UNLIKE = Family(
    "_unlike",
    (
        "identity",
        "uniform(bits=2)",
        "sign",
        "ternary(sparsity=0.9)",
        "matched_noise(of=uniform(bits=2))",
        "matched_noise(of=sign)",
        "matched_noise(of=ternary(sparsity=0.9))",
        "stochastic_rounding(bits=3)",
        "stochastic_rounding(bits=2)",
        "gptq(bits=4)",
        "gptq(bits=3)",
        "gptq(bits=2)",
    ),
    calibrate_on="members",
)
"""What neither bits nor the size of the error in the weights order: rounding, noise of the same size, and GPTQ that is
shown members, so that members may fare better than samples that the model never saw."""
FAMILIES = (CODEBOOKS, UNLIKE)


@dataclass(frozen=True)
class SameStart:
    """Make a model whose initial weights are the same whatever the seed: twins that differ by their data alone."""

    model: Callable[[], nn.Module]

    def __call__(self) -> nn.Module:
        torch.manual_seed(0)
        return self.model()


def tables(problem: Problem, task: Task, models: int, seed: int, family: Family) -> list[LossTable]:
    """Return the table of each quantizer."""
    options = AuditOptions.of(
        calibrate_on=family.calibrate_on, shadows=0, replicates=models, seed=seed, engine=problem.kind
    )
    asked = audit_request(task, problem.load(), None, options, None, "", family.quantizers, ("loss_threshold",))
    work = plan(*checked(asked), None)
    work = replace(work, engine=replace(work.engine, threads=1, workers=1))
    return assemble(work, collect(work, Local(), None, lambda done: None).groups)


def arrays(found: list[LossTable]) -> dict[str, np.ndarray]:
    """Return what the study reads: [quantizers, models, samples], who was trained on what, and the labels."""
    evidence = [table.evidence for table in found]
    stacked = {
        "losses": np.stack([each.losses for each in evidence]),
        "signal": np.stack([each.signals for each in evidence]),
        "member": evidence[0].member,
    }
    if evidence[0].entropy is not None:
        stacked["entropy"] = np.stack([each.entropy for each in evidence if each.entropy is not None])
    if evidence[0].label is not None:
        stacked["label"] = evidence[0].label
    return {name: each.astype(np.float32) if each.dtype.kind == "f" else each for name, each in stacked.items()}


def path(folder: Path, problem: Problem, family: Family = CODEBOOKS) -> Path:
    """Return where the tables of a problem stand or would stand."""
    return folder / f"{re.sub('[^a-z0-9]+', '_', problem.name.lower())}{family.suffix}.npz"


def fill(folder: Path, problem: Problem, seed: int, family: Family = CODEBOOKS) -> None:
    """Write the tables of a problem unless they are there."""
    file = path(folder, problem, family)
    if file.exists():
        return
    start = time.process_time()
    saved = arrays(tables(problem, problem.task, SHADOWS + CHEAP, seed, family))
    seconds = time.process_time() - start
    if family is CODEBOOKS:
        task = replace_model(problem.task, SameStart(problem.model))
        shared = arrays(tables(problem, task, SHARING, seed + 1, family))
        saved |= {f"shared_{name}": each for name, each in shared.items()}
    stream = io.BytesIO()
    np.savez(stream, names=np.array(family.quantizers), seconds=np.array(seconds), **saved)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, stream.getvalue())
    print(f"{file.stem}: {seconds:.0f} s of one core", flush=True)


def replace_model(task: Task, model: Callable[[], nn.Module]) -> Task:
    """Return the same task with models made by `model`."""
    return Task(model=model, loss=task.loss, recipe=task.recipe, name=task.name)


def main() -> None:
    """Fill what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="the name of one problem")
    parser.add_argument("--list", action="store_true", help="print the names of the problems and stop")
    arguments = parser.parse_args()
    for number, problem in enumerate(PROBLEMS):
        if arguments.list:
            print(problem.name)
        elif arguments.only in (None, problem.name):
            for shift, family in enumerate(FAMILIES):
                fill(arguments.folder, problem, seed=1000 + 10 * number + 5 * shift, family=family)


if __name__ == "__main__":
    main()
