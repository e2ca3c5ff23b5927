"""The hashes of everything that stored things depend on: a change of any of it can never meet a stale row.

Weights depend on the samples, who is trained on what, the models, the recipe and the code that trains. Rows depend on
the weights, the one quantizer, and the code that quantizes and scores. Of our own code only that counts which decides:
see `quantmis.audit.execution.own_code`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from torch import nn

from quantmis import seeds
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.own_code import own_code
from quantmis.audit.execution.work import CALIBRATION, Work
from quantmis.models.weights import weights_digest
from quantmis.quantizers import Quantizer
from quantmis.registry import spelling

TRAINING = ("quantmis.models.training", "quantmis.models.lora", "quantmis.audit.execution.trained")
SCORING = ("quantmis.audit.execution.computing",)
"""Where the code begins that decides what stands in weights, and in rows."""


def weights_keys(work: Work) -> dict[range, str]:
    """Return, of each group, the hash of everything that its weights depend on."""
    shared = _shared(work)
    return {rows: _weights_key(work, rows, shared) for rows in work.groups()}


def rows_keys(work: Work, weights: Mapping[range, str]) -> dict[tuple[range, int], str]:
    """Return, of each group and number of a quantizer, the hash of everything that its rows depend on.

    `weights`: the keys of the weights of each group.
    """
    versions = _versions(work)
    return {
        (rows, number): _digest(key.encode(), version.encode())
        for rows, key in weights.items()
        for number, version in enumerate(versions)
    }


def keys_of(work: Work) -> list[str]:
    """Return the keys of all rows of an audit, by group and by quantizer."""
    return list(rows_keys(work, weights_keys(work)).values())


def _weights_key(work: Work, rows: range, shared: str) -> str:
    first = work.task.build(seeds.integer(work.seed, "shadow", rows.start, "weights"))
    parts = [
        shared,
        _digest(work.member[rows.start : rows.stop].tobytes(), str(rows).encode()),
        *_beginnings(work, rows, first),
        _classes(first),
    ]
    return _digest(*(part.encode() for part in parts))


def _beginnings(work: Work, rows: range, first: nn.Module) -> Iterator[str]:
    """Yield what each model of a group begins as, made one at a time; on one base all of them are the `first`."""
    same = work.task.shares_base and getattr(first, "is_as_saved", False)
    own = f"{first!r} {weights_digest(first)}"
    yield own
    for index in rows[1:]:
        module = None if same else work.task.build(seeds.integer(work.seed, "shadow", index, "weights"))
        yield own if module is None else f"{module!r} {weights_digest(module)}"


def _shared(work: Work) -> str:
    """Return the hash of what the weights of all groups of one audit depend on."""
    parts = (work.task.model, work.task.recipe, work.task.loss)
    words = {
        "code": own_code(*TRAINING, *(type(each).__module__ for each in parts)),
        "versions": [version("torch"), version("numpy")],
        "samples": work.samples.digest(),
        "loss": spelling(work.task.loss),
        "recipe": work.task.describe_recipe(),
        "functions": [code_hash(each) for each in parts],
        "seed": work.seed,
        "placement": [work.task.place.type, work.task.placement.dtype],
        "engine": [work.engine.kind, work.engine.threads],
        "checkpoints": [*work.checkpoints, work.replicates if work.checkpoints else 0],
        "repeats": None if work.repeats is None else work.repeats.tolist(),
    }
    return _digest(json.dumps(words).encode())


def _versions(work: Work) -> list[str]:
    """Return of each quantizer the hash of what rows depend on besides weights, the same for all groups."""
    shared = {
        "held out": _digest(work.is_held_out.tobytes()),
        "fitted": _digest(work.is_fitted.tobytes()),
        "canaries": work.canaries,
        "calibrate on": [work.calibrate_on, CALIBRATION],
        "samples at once": work.task.samples_at_once,
        "placement": [work.task.place.type, work.task.placement.dtype],
    }
    own = [
        {
            "code": own_code(*SCORING, *{type(each).__module__ for each in _parts(quantizer)}),
            "quantizer": [spelling(quantizer), code_hash(quantizer)],
        }
        for quantizer in work.quantizers
    ]
    return [_digest(json.dumps(shared | words).encode()) for words in own]


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


def _classes(module: nn.Module) -> str:
    """Return the hash of the classes that a module is made of."""
    kinds = {type(part) for part in module.modules()}
    ours = own_code(*(kind.__module__ for kind in kinds))
    return _digest(ours.encode(), *sorted(code_hash(kind).encode() for kind in kinds))
