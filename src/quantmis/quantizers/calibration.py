"""What the layers of a model are given while it looks at calibration data.

A layer's outputs are its weight matrix times the columns that it reads: the inputs of a Linear layer, the patches of a
convolution. How much an error in each weight costs is in their second moment, the Hessian of the squared error of the
outputs. A convolution with groups has one per group.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from quantmis.data.tokens import PADDING
from quantmis.models.language import showing_logits, tokens_with_logits
from quantmis.models.placement import in_double
from quantmis.models.precision import computing
from quantmis.quantizers import layers as part

CHUNK = 256
"""Samples that go through a model at once."""

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d


def hessian(model: nn.Module, name: str, inputs: Tensor) -> Float[Tensor, "groups columns columns"] | None:
    """Return the mean second moment of the columns that the layer `name` reads while `model` sees `inputs`.

    None for an Embedding, which picks rows and multiplies nothing, and for a layer that is not called.
    """
    layer = part.quantizable(model)[name]
    if isinstance(layer, nn.Embedding):
        return None
    moments: list[Tensor] = []
    counts: list[int] = []

    def look(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        rows = in_double(columns(module, arguments[0].detach(), tokens_read(model)))
        moments.append(rows.transpose(1, 2) @ rows)
        counts.append(rows.shape[1])

    watch(model, {name: look}, inputs)
    return torch.stack(moments).sum(0) / sum(counts) if moments else None


def chunks(model: nn.Module, inputs: Tensor) -> Iterator[Tensor]:
    """Yield as many of the inputs as go through `model` at once; of texts those of like length, without lower case."""
    if not hasattr(model, "reading"):
        yield from inputs.split(CHUNK)
        return
    texts = inputs[:, 0] if inputs.ndim == 3 else inputs
    lengths = (texts != PADDING).sum(1)
    order = lengths.argsort(descending=True, stable=True)
    most = tokens_with_logits(model)
    while len(order):
        count = max(1, most // max(1, int(lengths[order[0]])))
        yield texts[order[:count]]
        order = order[count:]


def tokens_read(model: nn.Module) -> Bool[Tensor, "windows tokens"] | None:
    """Return which positions of what a language model is reading are tokens and not filling; None of other models."""
    windows: Any = getattr(getattr(model, "reading", None), "windows", None)
    return None if windows is None else windows.flatten(0, 1) != PADDING


def calls(model: nn.Module, names: list[str], inputs: Tensor) -> tuple[list[str], list[str]]:
    """Return those of the named parts that the forward of `model` calls, in that order, and those that it does not."""
    order: dict[str, None] = {}

    def note(name: str) -> Callable[..., None]:
        def look(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            order.setdefault(name)

        return look

    watch(model, {name: note(name) for name in names}, inputs[:2])
    return list(order), [name for name in names if name not in order]


@torch.no_grad()
def watch(model: nn.Module, hooks: dict[str, Callable[..., None]], inputs: Tensor) -> None:
    """Run `model` over `inputs`, calling a hook with the module and its arguments before each named part runs."""
    handles = [model.get_submodule(name).register_forward_pre_hook(hook) for name, hook in hooks.items()]
    try:
        with evaluating(model), _whole_logits(model):
            for chunk in chunks(model, inputs):
                model(chunk.clone())  # a forward may work in place
    finally:
        for handle in handles:
            handle.remove()


def _whole_logits(model: nn.Module) -> AbstractContextManager[None]:
    """Let the head of a language model read all tokens at once, each of them once, as its layers below do."""
    return showing_logits(model) if hasattr(model, "reading") else nullcontext()


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """Put `model` into evaluation mode for a while, computing in float32."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with computing(model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def columns(
    layer: nn.Module, inputs: Tensor, tokens: Bool[Tensor, "windows tokens"] | None = None
) -> Float[Tensor, "groups positions columns"]:
    """Return what each position of a layer's output reads, in the order of the columns of its weight matrix.

    `tokens`: which positions of texts count; the filling behind them says nothing.

    >>> columns(nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.ones(5, 4, 8, 8)).shape
    torch.Size([2, 320, 18])
    """
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return _patches(layer, inputs)
    of_texts = tokens is not None and inputs.shape[:-1] == tokens.shape
    return (inputs[tokens] if of_texts else inputs).reshape(1, -1, inputs.shape[-1])


def _patches(layer: Conv, inputs: Tensor) -> Tensor:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padding = layer._reversed_padding_repeated_twice  # pyright: ignore[reportPrivateUsage]
    windows = nn.functional.pad(inputs, padding, mode=mode)
    for dimension, (size, step, gap) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)):
        windows = windows.unfold(2 + dimension, (size - 1) * gap + 1, step)[..., ::gap]
    space = len(layer.kernel_size)
    grouped = windows.unflatten(1, (layer.groups, -1))  # [samples, groups, channels, *positions, *kernel]
    order = (1, 0, *range(3, 3 + space), 2, *range(3 + space, 3 + 2 * space))
    return grouped.permute(order).flatten(-space - 1).flatten(1, -2)
