"""A device that is not there: tensors on it are the processor's, and whatever mixes them with its own fails.

So code can be run as on an accelerator, and what it left behind on the processor shows.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

DEVICE = torch.device("cuda")

SEEN = ("__bool__", "__int__", "__float__", "__len__", "item", "tolist", "numpy")
MOVES = frozenset((*SEEN, "to", "cpu", "cuda", "copy_", "_has_compatible_shallow_copy_type"))
"""What may read a tensor of another device, or takes one away from it."""

PICKS = ("__getitem__", "__setitem__", "index_select")
"""Functions whose indices may lie on the processor."""


class OtherDevice(TorchFunctionMode):
    """Let `cuda` be a device of this machine, as far as code can tell that asks tensors where they are."""

    def __init__(self):
        super().__init__()
        self._there = WeakIdKeyDictionary()

    def is_there(self, value: Any) -> bool:
        """Say whether a tensor is on the device."""
        return isinstance(value, Tensor) and value in self._there

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        words, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if func == Tensor.device.__get__:  # pyright: ignore
            return DEVICE if self.is_there(args[0]) else func(*args)
        if func == Tensor.grad.__get__:  # pyright: ignore
            gradient = func(*args)
            return gradient if gradient is None else self._put(gradient, self.is_there(args[0]))
        if func == Tensor.data.__set__:  # pyright: ignore
            func(*args)
            return self._put(args[0], self.is_there(args[1]))
        if name == "__deepcopy__":
            return self._put(func(*args, **words), self.is_there(args[0]))
        if name in ("to", "cpu"):
            return self._moved(name, args, words)
        asked = words.pop("device", None)
        made_there = asked is not None and torch.device(asked).type == DEVICE.type
        tensors = list(self._tensors(args, words))
        some = any(map(self.is_there, tensors))
        self._require_together(name, tensors)
        if name == "numpy" and some:
            raise TypeError("a tensor of another device has no array")
        output = func(*args, **words, **({} if asked is None or made_there else {"device": asked}))
        if not list(self._tensors(output)) or not (some or made_there):
            return output
        return tree_map(lambda each: self._put(each, True) if isinstance(each, Tensor) else each, output)

    def _moved(self, name: str, args: Any, words: dict[str, Any]) -> Tensor:
        """Return a tensor on the device, and in the number format, that `to` or `cpu` is told."""
        value, there = args[0], self.is_there(args[0])
        told = [each for each in (*args[1:], *words.values()) if isinstance(each, torch.device | str | Tensor)]
        formats = [each for each in (*args[1:], *words.values()) if isinstance(each, torch.dtype)]
        like = next((each for each in told if isinstance(each, Tensor)), None)
        target = there if name == "to" else False
        if like is not None:
            target, formats = self.is_there(like), [like.dtype]
        elif told:
            target = torch.device(told[0]).type == DEVICE.type
        moved = torch.ops.aten.to.dtype(value, formats[0]) if formats and formats[0] != value.dtype else value
        return self._put(moved.clone() if moved is value and target != there else moved, target)

    def _put(self, value: Any, there: bool) -> Any:
        if there:
            self._there[value] = True
        else:
            self._there.pop(value, None)
        return value

    def _tensors(self, *values: Any) -> Iterator[Tensor]:
        return (each for each in tree_leaves(values) if isinstance(each, Tensor))

    def _require_together(self, name: str, tensors: list[Tensor]) -> None:
        if name in MOVES or name in PICKS:
            return
        places = {self.is_there(each) for each in tensors if each.ndim}
        if len(places) > 1:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, found two")
