"""The hash of everything that the rows of a group depend on: a change of any of it can never meet a stale row."""

import functools
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from torch import nn

from quantmis import seeds
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.work import CALIBRATION, Work
from quantmis.registry import spelling

ROOMS = (
    "seeds.py",
    "evidence.py",
    "data",
    "models",
    "quantizers",
    "audit/execution/work.py",
    "audit/execution/computing.py",
)
"""The code that decides what stands in a row."""


def group_key(work: Work, rows: range) -> str:
    """Return the hash of everything that the rows of a group depend on."""
    modules = [work.task.build(seeds.integer(work.seed, "shadow", index, "weights")) for index in rows]
    parts = [
        _shared(work),
        _digest(work.member[rows.start : rows.stop].tobytes(), str(rows).encode()),
        _digest(*(_state(module) for module in modules)),
        _classes(modules[0]),
    ]
    return _digest(*(part.encode() for part in parts))


def _shared(work: Work) -> str:
    """Return the hash of what all groups of one audit share."""
    words = {
        "code": _code(),
        "versions": [version("torch"), version("numpy")],
        "samples": work.samples.digest(),
        "loss": spelling(work.task.loss),
        "recipe": work.task.describe_recipe(),
        "functions": [code_hash(work.task.model), code_hash(work.task.recipe), code_hash(work.task.loss)],
        "quantizers": [[spelling(each), code_hash(each)] for each in work.quantizers],
        "seed": work.seed,
        "engine": [work.engine.kind, work.engine.threads],
        "checkpoints": [*work.checkpoints, work.replicates, work.keep_weights],
        "calibrate on": [work.calibrate_on, CALIBRATION],
        "samples at once": work.task.samples_at_once,
        "repeats": None if work.repeats is None else work.repeats.tolist(),
    }
    return _digest(json.dumps(words).encode())


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _state(module: nn.Module) -> bytes:
    values = module.state_dict().items()
    return repr(module).encode() + b"".join(name.encode() + value.cpu().numpy().tobytes() for name, value in values)


@functools.cache
def _code() -> str:
    """Return the hash of our own code that decides what stands in a row."""
    home = Path(__file__).parents[2]
    files = sorted(
        file for room in ROOMS for file in ([home / room] if room.endswith(".py") else (home / room).rglob("*.py"))
    )
    return _digest(*(file.read_bytes() for file in files))


def _classes(module: nn.Module) -> str:
    """Return the hash of the classes that a module is made of."""
    return _digest(*sorted({code_hash(type(part)).encode() for part in module.modules()}))
