"""The blocks of a model: which they are, what they read and return, and how much the predictions depend on that."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.calibration import CHUNK, calls, evaluating

MOST_OUTPUTS = 128
UNLIKE_A_BLOCK = "brecq: the block {!r} must take and return tensors, by position, once in each forward pass"
OTHER_BLOCKS = 'name other blocks with brecq(blocks=...); a layer can be one: brecq(blocks="*_proj, *.c_*, lm_head")'


@dataclass(frozen=True, eq=False)
class Block:
    """Hold what a block read and returned, sample by sample, and the `influence` of each output on predictions."""

    name: str
    arguments: tuple[Tensor, ...]
    outputs: Float[Tensor, "samples *shape"]
    influence: Float[Tensor, "samples *shape"]


def blocks_of(model: nn.Module, patterns: str, inputs: Tensor) -> list[str]:
    """Return the names of the blocks that hold layers to quantize, in the order of their calls.

    Without `patterns` they are the children of the model; of an only child, its children.
    """
    within = [name for name, _ in model.named_modules() if _holds_layers(model, name)]
    matches = [name for name in within if any(fnmatchcase(name, each.strip()) for each in patterns.split(","))]
    require(matches or not patterns, f"brecq: no block with layers to quantize is named {patterns!r}")
    outermost = [name for name in matches if not any(name.startswith(f"{other}.") for other in matches)]
    return calls(model, outermost if patterns else _children(model, within), inputs)[0]


def observed(model: nn.Module, names: list[str], inputs: Tensor, fisher: bool) -> dict[str, Block]:
    """Return what the named blocks do while `model` sees `inputs`; without `fisher` all outputs matter alike."""
    chunks = [_chunk(model, names, chunk, fisher) for chunk in inputs.split(CHUNK)]
    return {name: _joined([chunk[name] for chunk in chunks]) for name in names}


def _children(model: nn.Module, within: list[str]) -> list[str]:
    prefix = ""
    while True:
        deeper = [name for name in within if name.startswith(prefix) and name and "." not in name[len(prefix) :]]
        if len(deeper) != 1:
            return deeper or [prefix.removesuffix(".")]
        prefix = f"{deeper[0]}."


def _holds_layers(model: nn.Module, name: str) -> bool:
    return bool(part.weights(model.get_submodule(name)))


def _chunk(model: nn.Module, names: list[str], inputs: Tensor, fisher: bool) -> dict[str, Block]:
    arguments: dict[str, tuple[Tensor, ...]] = {}
    returned: dict[str, Tensor] = {}

    def read(name: str, inputs: tuple[Any, ...], words: dict[str, Any]) -> None:
        plain = bool(inputs) and not words and all(isinstance(each, Tensor) for each in inputs)
        require(plain and name not in arguments, UNLIKE_A_BLOCK.format(name), hint=OTHER_BLOCKS)
        arguments[name] = tuple(each.detach().clone() for each in inputs)  # the block may work in place

    def keep(name: str, outputs: Any) -> Tensor:
        require(isinstance(outputs, Tensor), UNLIKE_A_BLOCK.format(name), hint=OTHER_BLOCKS)
        returned[name] = outputs if outputs.requires_grad else outputs.requires_grad_(outputs.is_leaf)
        return outputs.clone()  # what follows may work in place

    handles = [handle for name in names for handle in _hooked(model.get_submodule(name), name, read, keep)]
    try:
        with evaluating(model), torch.enable_grad():
            if hasattr(model, "reading"):  # a language model: the losses of texts alone, which gradients pass through
                model.training = True
            predictions = model(inputs.clone())
            outputs = [returned[name] for name in names]
            matter = _fisher(predictions, outputs) if fisher else [torch.ones_like(each) for each in outputs]
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: Block(name, arguments[name], returned[name].detach(), influence)
        for name, influence in zip(names, matter, strict=True)
    }


def _hooked(part: nn.Module, name: str, read: Callable[..., None], keep: Callable[..., Tensor]) -> list[Any]:
    """Put hooks before and after the forward of `part`; return what takes them away."""
    return [
        part.register_forward_pre_hook(lambda _, inputs, words: read(name, inputs, words), with_kwargs=True),
        part.register_forward_hook(lambda _, inputs, outputs: keep(name, outputs)),
    ]


def _fisher(predictions: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    """Return the expected squared gradient of the log-likelihood in each of `outputs`, under the predictions."""
    flat = predictions.flatten(0, -2)
    count = flat.shape[-1]
    require(
        count <= MOST_OUTPUTS,
        f"brecq: the Fisher information of {count} outputs takes as many backward passes",
        hint="use brecq(fisher=False)",
    )
    logs = flat if count == 1 else flat.log_softmax(-1)
    share = torch.ones_like(flat) if count == 1 else logs.exp().detach()
    total = [torch.zeros_like(each) for each in outputs]
    for k in range(count):
        scaled = (logs[:, k] * share[:, k].sqrt()).sum()
        gradients = _gradients(scaled, outputs)
        total = [old + new.square() for old, new in zip(total, gradients, strict=True)]
    return [each.detach() for each in total]


def _gradients(scaled: Tensor, outputs: list[Tensor]) -> tuple[Tensor, ...]:
    try:
        return torch.autograd.grad(scaled, outputs, retain_graph=True)
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        raise UserError(
            f"brecq: no gradients reach the blocks from the outputs of the model: {first}",
            hint="use brecq(fisher=False)",
        ) from error


def _joined(blocks: list[Block]) -> Block:
    columns = zip(*(block.arguments for block in blocks), strict=True)
    return Block(
        blocks[0].name,
        tuple(torch.cat(column) for column in columns),
        torch.cat([block.outputs for block in blocks]),
        torch.cat([block.influence for block in blocks]),
    )
