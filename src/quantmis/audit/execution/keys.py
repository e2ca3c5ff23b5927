"""The hashes of everything that stored things depend on: a change of any of it can never meet a stale row.

Weights depend on the samples, who is trained on what, the models, the recipe and the code that trains. Rows depend on
the weights, the one quantizer, and the code that quantizes and scores. Of our own code only that counts which decides:
see `quantmis.audit.execution.own_code`.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from torch import nn

from quantmis import seeds
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.own_code import own_code
from quantmis.audit.execution.store import as_bytes
from quantmis.audit.execution.work import CALIBRATION, Work
from quantmis.quantizers import Quantizer
from quantmis.registry import spelling

TRAINING = ("quantmis.models.training", "quantmis.models.lora", "quantmis.audit.execution.trained")
SCORING = ("quantmis.audit.execution.computing",)
"""Where the code begins that decides what stands in weights, and in rows."""


def weights_key(work: Work, rows: range) -> str:
    """Return the hash of everything that the weights of a group depend on."""
    modules = [work.task.build(seeds.integer(work.seed, "shadow", index, "weights")) for index in rows]
    parts = [
        _training(work, modules[0]),
        _digest(work.member[rows.start : rows.stop].tobytes(), str(rows).encode()),
        _digest(*(_state(module) for module in modules)),
        _classes(modules[0]),
    ]
    return _digest(*(part.encode() for part in parts))


def rows_key(work: Work, weights: str, number: int) -> str:
    """Return the hash of everything that the rows of quantizer `number` depend on; `weights`: the key of these."""
    quantizer = work.quantizers[number]
    words = {
        "weights": weights,
        "code": own_code(*SCORING, *{type(each).__module__ for each in _parts(quantizer)}),
        "quantizer": [spelling(quantizer), code_hash(quantizer)],
        "held out": _digest(work.is_held_out.tobytes()),
        "canaries": work.canaries,
        "calibrate on": [work.calibrate_on, CALIBRATION],
        "samples at once": work.task.samples_at_once,
    }
    return _digest(json.dumps(words).encode())


def keys_of(work: Work) -> list[str]:
    """Return the keys of all rows of an audit, by group and by quantizer."""
    weights = [weights_key(work, rows) for rows in work.groups()]
    return [rows_key(work, key, number) for key in weights for number in range(len(work.quantizers))]


def _training(work: Work, module: nn.Module) -> str:
    """Return the hash of what the weights of all groups of one audit depend on."""
    ours = {type(each).__module__ for each in (work.task.model, work.task.recipe, work.task.loss, *module.modules())}
    words = {
        "code": own_code(*TRAINING, *ours),
        "versions": [version("torch"), version("numpy")],
        "samples": _samples(work),
        "loss": spelling(work.task.loss),
        "recipe": work.task.describe_recipe(),
        "functions": [code_hash(work.task.model), code_hash(work.task.recipe), code_hash(work.task.loss)],
        "seed": work.seed,
        "engine": [work.engine.kind, work.engine.threads],
        "checkpoints": [*work.checkpoints, work.replicates if work.checkpoints else 0],
        "repeats": None if work.repeats is None else work.repeats.tolist(),
    }
    return _digest(json.dumps(words).encode())


@functools.lru_cache(maxsize=1)
def _samples(work: Work) -> str:
    return work.samples.digest()


def _parts(quantizer: Quantizer) -> Iterator[Quantizer]:
    """Yield a quantizer and those that it is made of."""
    yield quantizer
    for value in vars(quantizer).values():
        for each in _held(value):
            yield from _parts(each)


def _held(value: Any) -> Iterator[Quantizer]:
    if isinstance(value, Quantizer):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _held(each)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _state(module: nn.Module) -> bytes:
    values = module.state_dict().items()
    return repr(module).encode() + b"".join(name.encode() + as_bytes(value.cpu()).tobytes() for name, value in values)


def _classes(module: nn.Module) -> str:
    """Return the hash of the classes that a module is made of."""
    return _digest(*sorted({code_hash(type(part)).encode() for part in module.modules()}))
