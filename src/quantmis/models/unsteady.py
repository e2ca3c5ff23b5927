"""Find the layer whose outputs differ although its inputs are the same: what draws, or looks at other samples."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from quantmis.models.calling import call

CLOSE = 1e-5

Values = list[Tensor]
Calls = list[tuple[str, Values, Values]]


@torch.no_grad()
def first_unsteady(module: nn.Module, x: Tensor, counts: Sequence[int]) -> str:
    """Return the words that name the innermost part which gives other outputs for the same inputs; empty if none.

    It is found by the samples `x` [samples, ...], asked for together and again the last so many of them, one of
    `counts` after the other.
    """
    module.eval()
    whole = _calls(module, x)
    names = (_first_different(whole, _calls(module, x[len(x) - count :])) for count in counts)
    name = next((each for each in names if each is not None), None)
    return "" if name is None else _words(module, name)


def _words(module: nn.Module, name: str) -> str:
    part = module.get_submodule(name)
    kind = type(part).__name__ if any(part.children()) else str(part).partition("\n")[0]
    return f", in its layer {name} ({kind})" if name else f", in the forward of {type(part).__name__} itself"


def _first_different(whole: Calls, again: Calls) -> str | None:
    """Return the name of the first part to end whose inputs are the same, and whose outputs are not."""
    for (name, inputs, outputs), (other, own_inputs, own_outputs) in zip(whole, again, strict=False):
        if name != other:
            return None
        if _same(inputs, own_inputs) and not _same(outputs, own_outputs):
            return name
    return None


def _calls(module: nn.Module, x: Tensor) -> Calls:
    """Return what each part takes and returns, in the order in which they end; copied, for parts that change inputs."""
    calls: Calls = []
    waiting: list[Values] = []

    def before(part: nn.Module, arguments: Any, words: Any) -> None:
        waiting.append(_tensors((arguments, words)))

    def after(name: str) -> Any:
        def look(part: nn.Module, arguments: Any, returned: Any) -> None:
            calls.append((name, waiting.pop(), _tensors(returned)))

        return look

    handles = [part.register_forward_pre_hook(before, with_kwargs=True) for part in module.modules()]
    handles += [part.register_forward_hook(after(name)) for name, part in module.named_modules()]
    try:
        call(module, x)
    except Exception:  # noqa: S110 whoever asked knows already that it does not compute
        pass
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _tensors(values: Any) -> Values:
    return [each.detach().clone() for each in tree_leaves(values) if isinstance(each, Tensor)]


def _same(whole: Values, last: Values) -> bool:
    """Whether the values of the last samples are the same, alone and among all."""
    return len(whole) == len(last) and all(_alike(*pair) for pair in zip(whole, last, strict=True))


def _alike(whole: Tensor, last: Tensor) -> bool:
    if whole.ndim == 0 or whole.shape[1:] != last.shape[1:] or len(whole) < len(last):
        return whole.shape == last.shape and bool(torch.allclose(whole.double(), last.double()))
    part = whole[len(whole) - len(last) :].double()
    return bool((part - last.double()).abs().amax() <= CLOSE * part.abs().amax()) if part.numel() else True
