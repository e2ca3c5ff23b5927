"""The Hessians of the layers of a model, in the order of their calls, while those before them are being quantized.

Each layer sees what the quantized layers before it produce. Run from its start for every layer, a model of n layers
takes n passes. Where its blocks stand in a row, as those of a transformer do, each of them starts from what the block
before it returned, and stops at the layer that is asked for: two to three passes in all, however deep it is.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.models.placement import in_double
from quantmis.quantizers import layers as part
from quantmis.quantizers.calibration import calls, chunks, columns, evaluating, hessian, tokens_read

SAME = 1e-3
"""How far what the blocks return one by one may be from what they return within the model, of its size."""


Tokens = Bool[Tensor, "windows tokens"] | None
"""Which positions of what a language model reads are tokens and not filling."""

Look = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]
"""What is told of a call: the name of the part, its inputs by position and by word, and what it returned, or None."""


class Step(NamedTuple):
    """Hold layers that read the same, and the Hessian of each: None where calibration says nothing of them."""

    names: tuple[str, ...]
    hessian: Float[Tensor, "groups columns columns"] | None


class _Seen(NamedTuple):
    """Hold what was read or returned, and how often it had been written into by then."""

    value: Any
    writes: int

    @classmethod
    def of(cls, value: Any) -> "_Seen":
        """Return a value as it is now."""
        return cls(value, value._version if isinstance(value, Tensor) else 0)

    def is_still(self, other: "_Seen") -> bool:
        """Say whether it is the very value that `other` is, unchanged."""
        return self.value is other.value and self.writes == other.writes


class _Group(NamedTuple):
    """Hold layers of a block that read the same, each of them `once` in a pass, or a layer that is called otherwise."""

    names: tuple[str, ...]
    once: bool


class _Call(NamedTuple):
    """Hold what a block was called with."""

    inputs: tuple[Any, ...]
    words: dict[str, Any]

    def again(self, first: Any) -> "_Call":
        """Return the call with another first input."""
        return _Call((first, *self.inputs[1:]), self.words)


class _StoppedError(Exception):
    """Say that a pass has gone far enough."""


def steps(model: nn.Module, inputs: Tensor) -> Iterator[Step]:
    """Yield the layers of `model` to quantize; what is yielded must be quantized in the model before the next is.

    `inputs` [samples, ...] are those of the calibration. Layers that it never calls come last.
    """
    called, spare = calls(model, list(part.quantizable(model)), inputs)
    blocks = _row(model, inputs) if len(called) > 1 else []
    within = [name for name in called if any(name.startswith(f"{block}.") for block in blocks)]
    start = called.index(within[0]) if within else len(called)
    if called[start : start + len(within)] != within:
        blocks, within, start = [], [], len(called)
    for name in called[:start]:
        yield Step((name,), hessian(model, name, inputs))
    if within:
        yield from _of_blocks(model, blocks, within, inputs)
    for name in called[start + len(within) :]:
        yield Step((name,), hessian(model, name, inputs))
    for name in spare:
        yield Step((name,), None)


def _row(model: nn.Module, inputs: Tensor) -> list[str]:
    """Return the names of the longest row of blocks each of which reads first what the one before it returns."""
    rows = [name for name, each in model.named_modules() if isinstance(each, nn.ModuleList | nn.Sequential)]
    found = [names for row in rows if len(names := _children(model, row)) > 1 and _is_row(model, names, inputs)]
    return max(found, key=len, default=[])


def _children(model: nn.Module, row: str) -> list[str]:
    return [
        f"{row}.{name}".removeprefix(".")
        for name, each in model.get_submodule(row).named_children()
        if part.weights(each)
    ]


def _is_row(model: nn.Module, names: Sequence[str], inputs: Tensor) -> bool:
    """Say whether each block runs once, and reads what the one before it returned, with nothing done to it since."""
    read, returned = dict[str, list[_Seen]](), dict[str, list[_Seen]]()

    def look(name: str, inputs: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        if output is None:
            read.setdefault(name, []).append(_Seen.of(inputs[0] if inputs else None))
        else:
            returned.setdefault(name, []).append(_Seen.of(_first(output)))

    with _watched(model, names, look), _watched(model, names, look, after=True), _passing(model):
        model(inputs[:2].clone())
    once = list(read) == list(names) and all(len(each) == 1 for each in read.values())
    return once and all(read[later][0].is_still(returned[earlier][0]) for earlier, later in pairwise(names))


def _of_blocks(model: nn.Module, blocks: Sequence[str], within: Sequence[str], inputs: Tensor) -> Iterator[Step]:
    parts = list(chunks(model, inputs))
    passes, masks = zip(*(_calls_of(model, blocks, chunk) for chunk in parts), strict=True)
    current = [each[blocks[0]] for each in passes]
    returned: list[Any] = []
    for number, name in enumerate(blocks):
        own = [layer for layer in within if layer.startswith(f"{name}.")]
        block = model.get_submodule(name)
        for group in _groups(model, block, own, current[0]):
            yield Step(group.names, _hessian(model, block, group, zip(current, masks, strict=True)))
        returned = [_returned(model, block, call) for call in current]
        if number + 1 < len(blocks):
            following = blocks[number + 1]
            current = [each[following].again(first) for each, first in zip(passes, returned, strict=True)]
    _require_same(model, blocks[-1], parts[0], returned[0])


def _calls_of(model: nn.Module, blocks: Sequence[str], chunk: Tensor) -> tuple[dict[str, _Call], Tokens]:
    """Return what the model calls its blocks with, and which positions are tokens.

    Of what flows from block to block only what the first is given is kept.
    """
    found: dict[str, _Call] = {}

    def look(name: str, inputs: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        call = _Call(inputs, words)
        found[name] = call if name == blocks[0] else call.again(None)
        if name == blocks[-1]:
            raise _StoppedError

    with _watched(model, blocks, look), _passing(model):
        _until_stopped(lambda: model(chunk.clone()))
    return found, tokens_read(model)


def _groups(model: nn.Module, block: nn.Module, names: Sequence[str], call: _Call) -> list[_Group]:
    """Return the layers of a block in the order of their calls, those that read the same tensor in turn together."""
    seen: dict[str, list[Tensor]] = {}

    def look(name: str, inputs: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        seen.setdefault(name, []).append(inputs[0])

    with _watched(model, names, look), _passing(model):
        _run(block, call)
    groups: list[_Group] = []
    for name in (*seen, *(each for each in names if each not in seen)):
        group = _Group((name,), len(seen.get(name, ())) == 1)
        before = groups[-1] if groups else None
        if before is not None and before.once and group.once and _read_alike(model, seen, before.names[-1], name):
            groups[-1] = _Group((*before.names, name), True)
        else:
            groups.append(group)
    return groups


def _read_alike(model: nn.Module, seen: Mapping[str, list[Tensor]], one: str, other: str) -> bool:
    """Say whether two layers read the same tensor in the same way, as linear layers do."""
    both = [model.get_submodule(each) for each in (one, other)]
    same = seen[one][0] is seen[other][0]
    return same and all(isinstance(each, nn.Linear) or part.is_transposed(each) for each in both)


def _hessian(
    model: nn.Module, block: nn.Module, group: _Group, reads: Iterable[tuple[_Call, Tokens]]
) -> Float[Tensor, "groups columns columns"] | None:
    """Return the mean second moment of what the layers of a group read in all calls of their block."""
    moments = [each for call, tokens in reads for each in _moments(model, block, group, call, tokens)]
    if not moments:
        return None
    return torch.stack([each for each, _ in moments]).sum(0) / sum(count for _, count in moments)


def _moments(
    model: nn.Module, block: nn.Module, group: _Group, call: _Call, tokens: Tokens
) -> list[tuple[Float[Tensor, "groups columns columns"], int]]:
    """Return the second moment of what a layer reads each time that a block calls it, and of how many positions."""
    found: list[tuple[Tensor, int]] = []

    def look(name: str, inputs: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        rows = in_double(columns(model.get_submodule(name), inputs[0].detach(), tokens))
        found.append((rows.transpose(1, 2) @ rows, rows.shape[1]))
        if group.once:
            raise _StoppedError

    with _watched(model, group.names[:1], look), _passing(model):
        _until_stopped(lambda: _run(block, call))
    return found


def _returned(model: nn.Module, block: nn.Module, call: _Call) -> Any:
    with _passing(model):
        return _first(_run(block, call))


def _run(block: nn.Module, call: _Call) -> Any:
    inputs = (call.inputs[0].clone(), *call.inputs[1:])  # a block may work in place
    return block(*inputs, **call.words)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _require_same(model: nn.Module, last: str, chunk: Tensor, returned: Tensor) -> None:
    """Raise `UserError` where the blocks return something else one by one than within the model."""
    found: list[Tensor] = []

    def look(name: str, inputs: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
        found.append(_first(output))

    with _watched(model, [last], look, after=True), _passing(model):
        model(chunk.clone())
    off, size = float((found[0] - returned).norm()), float(found[0].norm())
    require(off <= SAME * size, f"{last} computes something else by itself than within the model: {off / size:.2g}")


def _until_stopped(work: Callable[[], object]) -> None:
    try:
        work()
    except _StoppedError:
        return


@contextmanager
def _passing(model: nn.Module) -> Generator[None]:
    with evaluating(model), torch.no_grad():
        yield


@contextmanager
def _watched(model: nn.Module, names: Sequence[str], look: Look, after: bool = False) -> Generator[None]:
    """Let `look` be told of every call of the named parts, before it or, with what they return, after it."""

    def tell(name: str, _: nn.Module, inputs: tuple[Any, ...], words: dict[str, Any], output: Any = None) -> None:
        look(name, inputs, words, output)

    parts = [(partial(tell, name), model.get_submodule(name)) for name in names]
    handles = [
        each.register_forward_hook(told, with_kwargs=True)
        if after
        else each.register_forward_pre_hook(told, with_kwargs=True)
        for told, each in parts
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
