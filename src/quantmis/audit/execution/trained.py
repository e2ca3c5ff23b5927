"""The models of a group as tensors, and back: what training changed is kept, the rest comes with a fresh model.

So low-rank adapters are kept as such, without the base that they were trained on. A recipe of the user's may change
more of a model than its tensors; then the tensors are not the model, and are not kept.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from quantmis import seeds
from quantmis.audit.execution.work import Weights, Work
from quantmis.errors import require
from quantmis.models.calling import users_errors
from quantmis.models.probes import few_of
from quantmis.models.rows import forward
from quantmis.models.task import inputs

END = 0
"""The step that stands for the end of a training."""


def tensors_of(work: Work, models: Mapping[int, nn.Module], step: int = END) -> dict[str, Tensor]:
    """Return what training changed in models, by the names of `Weights`."""
    tensors = dict[str, Tensor]()
    for index, module in models.items():
        home = _home(index, step)
        tensors |= {home + name: value.detach().cpu() for name, value in _changed(work, module, index).items()}
    return tensors


def _changed(work: Work, module: nn.Module, index: int) -> dict[str, Tensor]:
    """Return what training changed; on a base that models share, what learns is all that can change."""
    if work.task.shares_base:
        return {name: value for name, value in module.named_parameters() if value.requires_grad}
    before = _fresh(work, [index])[0].state_dict()
    state: dict[str, Tensor] = module.state_dict()
    return {name: value for name, value in state.items() if name not in before or not _same(value.cpu(), before[name])}


def restored(work: Work, weights: Weights, indices: Iterable[int], step: int = END) -> dict[int, nn.Module]:
    """Return models as training left them, with their adapters where they have some."""
    own = list(indices)
    filled = [
        _filled(module, weights.tensors, index, step) for index, module in zip(own, _fresh(work, own), strict=True)
    ]
    return dict(zip(own, filled, strict=True))


def are_whole(work: Work, tensors: Mapping[str, Tensor], models: Mapping[int, nn.Module]) -> bool:
    """Say whether the tensors of the first of the models make it again, to the bit of what it computes."""
    index = next(iter(models))
    [fresh], few = _fresh(work, [index], models[index]), few_of(inputs(work.samples))
    again = _filled(fresh, tensors, index, END)
    with users_errors(f"{seeds.spell('shadow', index)} cannot compute the samples"):
        outputs = [_outputs(module, few) for module in (models[index], again)]
    return outputs[0].shape == outputs[1].shape and torch.equal(*outputs)


def _outputs(module: nn.Module, few: Tensor) -> Tensor:
    mode = module.training
    try:
        return forward(module, few)
    finally:
        module.train(mode)


def _filled(module: nn.Module, tensors: Mapping[str, Tensor], index: int, step: int) -> nn.Module:
    home = _home(index, step)
    own = {name.removeprefix(home): tensor for name, tensor in tensors.items() if name.startswith(home)}
    found = module.load_state_dict(own, strict=False)
    require(not found.unexpected_keys, f"stored weights have {found.unexpected_keys[:1]}, and the model has not")
    return module


def _fresh(work: Work, indices: Sequence[int], beside: nn.Module | None = None) -> list[nn.Module]:
    return work.task.trainable_modules(
        [seeds.integer(work.seed, "shadow", index, "weights") for index in indices], beside
    )


def _home(index: int, step: int) -> str:
    return f"{index}/" if step == END else f"{step}:{index}/"


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other.cpu())
