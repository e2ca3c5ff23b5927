"""How far the outputs of a block are from what they should be, with other weights: of one model, or of many at once."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from quantmis.quantizers import layers as part
from quantmis.quantizers.blocks import Block

Values = dict[str, Tensor]
"""The weights of layers by name, [models, *shape]."""


def _keys(block: str, values: Values) -> Values:
    """Return the weights by their names in the state of the block."""
    return {part.weight_key(name.removeprefix(block).removeprefix(".")): value for name, value in values.items()}


class SingleBlock:
    """Compute the block of one model."""

    def __init__(self, module: nn.Module, block: Block):
        self._module, self._block, self.samples = module, block, len(block.outputs)

    def error(self, rows: Tensor, values: Values) -> Float[Tensor, " models"]:
        """Return the weighted squared error on the samples `rows`."""
        block = self._block
        own = {key: value[0].to(block.outputs.dtype) for key, value in _keys(block.name, values).items()}
        outputs = functional_call(self._module, own, tuple(each[rows] for each in block.arguments))
        return ((outputs - block.outputs[rows]).square() * block.influence[rows]).mean()[None]


class StackedBlock:
    """Compute the same block of several models at once, each on its own samples."""

    def __init__(self, modules: list[nn.Module], blocks: list[Block]):
        parameters, buffers = stack_module_state(modules)
        self._state: Values = {name: value.detach() for name, value in {**parameters, **buffers}.items()}
        self._module, self._name, self.samples = modules[0], blocks[0].name, len(blocks[0].outputs)
        self._arguments = [torch.stack(each) for each in zip(*(block.arguments for block in blocks), strict=True)]
        self._outputs = torch.stack([block.outputs for block in blocks])
        self._influence = torch.stack([block.influence for block in blocks])

    def error(self, rows: Tensor, values: Values) -> Float[Tensor, " models"]:
        """Return the weighted squared error of each model on its samples `rows`."""
        kind = self._outputs.dtype
        own = {key: value.to(kind) for key, value in _keys(self._name, values).items()}
        inputs = [each[:, rows] for each in self._arguments]

        def computed(state: Values, arguments: list[Tensor]) -> Tensor:
            return functional_call(self._module, state, tuple(arguments))

        outputs = torch.vmap(computed)({**self._state, **own}, inputs)
        error = (outputs - self._outputs[:, rows]).square() * self._influence[:, rows]
        return error.flatten(1).mean(1)


def can_be_stacked(module: nn.Module, block: Block) -> bool:
    """Say whether models are faster together: without convolutions, and where torch can batch what the block does."""
    if any(isinstance(each, nn.Conv1d | nn.Conv2d | nn.Conv3d) for each in module.modules()):
        return False
    try:
        with torch.no_grad():
            StackedBlock([module], [block]).error(torch.arange(1), {})
    except RuntimeError:
        return False
    return True
