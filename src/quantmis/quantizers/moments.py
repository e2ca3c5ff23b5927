"""The Hessians of the layers of a model, in the order of their calls, while those before them are being quantized.

Each layer sees what the quantized layers before it produce. Run from its start for every layer, a model of n layers
takes n passes. Where its blocks stand in a row, as those of a transformer do, each of them starts from what the block
before it returned, and stops at the layer that is asked for: two to three passes in all, however deep it is.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from quantmis.errors import require
from quantmis.quantizers import layers as part
from quantmis.quantizers.calibration import calls, chunks, columns, evaluating, hessian, tokens_read

SAME = 1e-3
"""How far what the blocks return one by one may be from what they return within the model, of its size."""


class Step(NamedTuple):
    """Hold layers that read the same, and the Hessian of each: None where calibration says nothing of them."""

    names: tuple[str, ...]
    hessian: Float[Tensor, "groups columns columns"] | None


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
    if blocks:
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
    seen: list[tuple[str, Any, Any]] = []

    def note(name: str) -> Callable[..., None]:
        def look(_: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
            seen.append((name, arguments[:1], _first(output)))

        return look

    with _hooked(model, names, note, after=True), _passing(model):
        model(inputs[:2].clone())
    in_order = [name for name, _, _ in seen] == list(names)
    return in_order and all(len(later[1]) == 1 and later[1][0] is earlier[2] for earlier, later in pairwise(seen))


def _of_blocks(model: nn.Module, blocks: Sequence[str], within: Sequence[str], inputs: Tensor) -> Iterator[Step]:
    parts = list(chunks(model, inputs))
    passes, masks = zip(*(_calls_of(model, blocks, chunk) for chunk in parts), strict=True)
    current = [each[blocks[0]] for each in passes]
    returned: list[Any] = []
    for number, name in enumerate(blocks):
        own = [layer for layer in within if layer.startswith(f"{name}.")]
        block = model.get_submodule(name)
        for group in _groups(model, block, own, current[0]):
            moments = [_moment(model, block, group[0], call, mask) for call, mask in zip(current, masks, strict=True)]
            total = torch.stack([each for each, _ in moments]).sum(0)
            yield Step(group, total / sum(count for _, count in moments))
        returned = [_returned(model, block, call) for call in current]
        if number + 1 < len(blocks):
            following = blocks[number + 1]
            current = [each[following].again(first) for each, first in zip(passes, returned, strict=True)]
    _require_same(model, blocks[-1], parts[0], returned[0])


def _calls_of(
    model: nn.Module, blocks: Sequence[str], chunk: Tensor
) -> tuple[dict[str, _Call], Bool[Tensor, "windows tokens"] | None]:
    """Return what the model calls its blocks with, and which positions are tokens.

    Of what flows from block to block only what the first is given is kept.
    """
    found: dict[str, _Call] = {}

    def note(name: str) -> Callable[..., None]:
        def look(_: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]) -> None:
            call = _Call(arguments, words)
            found[name] = call if name == blocks[0] else call.again(None)
            if name == blocks[-1]:
                raise _StoppedError

        return look

    with _hooked(model, blocks, note), _passing(model):
        _until_stopped(lambda: model(chunk.clone()))
    return found, tokens_read(model)


def _groups(model: nn.Module, block: nn.Module, names: Sequence[str], call: _Call) -> list[tuple[str, ...]]:
    """Return the layers of a block in the order of their calls, those that read the same tensor in turn together."""
    seen: list[tuple[str, Tensor]] = []

    def note(name: str) -> Callable[..., None]:
        def look(_: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]) -> None:
            seen.append((name, arguments[0]))

        return look

    with _hooked(model, names, note), _passing(model):
        _run(block, call)
    groups: list[list[str]] = []
    for number, (name, read) in enumerate(seen):
        if any(name in group for group in groups):
            continue
        alike = groups and read is seen[number - 1][1] and _alike(model, name, groups[-1][0])
        groups = [*groups[:-1], [*groups[-1], name]] if alike else [*groups, [name]]
    return [tuple(group) for group in groups]


def _alike(model: nn.Module, name: str, other: str) -> bool:
    """Say whether two layers read their inputs in the same way: linear layers do."""
    both = [model.get_submodule(each) for each in (name, other)]
    return all(isinstance(each, nn.Linear) or part.is_transposed(each) for each in both)


def _moment(
    model: nn.Module, block: nn.Module, name: str, call: _Call, mask: Bool[Tensor, "windows tokens"] | None
) -> tuple[Float[Tensor, "groups columns columns"], int]:
    """Return the second moment of what a layer of a block reads, and of how many positions it is the sum."""
    found: list[tuple[Tensor, int]] = []

    def look(module: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]) -> None:
        rows = columns(module, arguments[0].detach(), mask).double()
        found.append((rows.transpose(1, 2) @ rows, rows.shape[1]))
        raise _StoppedError

    with _hooked(model, [name], lambda _: look), _passing(model):
        _until_stopped(lambda: _run(block, call))
    return found[0]


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

    def look(_: nn.Module, arguments: Any, words: Any, output: Any) -> None:
        found.append(_first(output))

    with _hooked(model, [last], lambda _: look, after=True), _passing(model):
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
def _hooked(
    model: nn.Module, names: Sequence[str], hook: Callable[[str], Callable[..., None]], after: bool = False
) -> Generator[None]:
    parts = [(name, model.get_submodule(name)) for name in names]
    handles = [
        each.register_forward_hook(hook(name), with_kwargs=True)
        if after
        else each.register_forward_pre_hook(hook(name), with_kwargs=True)
        for name, each in parts
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
