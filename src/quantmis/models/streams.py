"""Every model its own random numbers, in training too: those of dropout and of whatever else its forward draws.

A model of an audit draws from the stream at ("shadow", i, "dropout"), so that it is the same model whichever others
are trained beside it, together with them or one by one. `Apart` gives the numbers of a forward pass that computes all
models of a stack at once to each from its own stream. `Row` of `quantmis.models.loop` holds the stream of one model
at a time. Nothing of this is switched on for models that draw nothing.
"""

import copy
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

DRAWS = torch.Tag.nondeterministic_seeded
MASKS = (torch.ops.aten.bernoulli.p, torch.ops.aten.bernoulli_.float)


class Streams:
    """Hold the stream of each model of a group, begun at `seeds`."""

    def __init__(self, seeds: Sequence[int]):
        self._seeds = seeds
        self._torch: dict[torch.device, list[torch.Generator]] = {}
        self._others = [_begun(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self._seeds)

    def on(self, device: torch.device) -> list[torch.Generator]:
        """Return the generators of a device, one per model."""
        if device not in self._torch:
            self._torch[device] = [torch.Generator(device).manual_seed(seed) for seed in self._seeds]
        return self._torch[device]

    @contextmanager
    def draws_of(self, model: int, device: torch.device) -> Generator[None]:
        """Let torch, NumPy and Python draw from the streams of one model, in the order of tensors' entries."""
        generators = [self.on(each)[model] for each in {torch.device("cpu"), device}]
        before, shared = [_default(each.device).get_state() for each in generators], _others()
        for each in generators:
            _default(each.device).set_state(each.get_state())
        _set_others(self._others[model])
        try:
            with _InOrder():
                yield
        finally:
            self._others[model] = _others()
            _set_others(shared)
            for each, state in zip(generators, before, strict=True):
                each.set_state(_default(each.device).get_state())
                _default(each.device).set_state(state)


class Apart(TorchDispatchMode):
    """Draw what a forward pass of stacked models draws, models along the first axis, from the stream of each."""

    def __init__(self, streams: Streams):
        super().__init__()
        self._streams = streams

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Replace what draws; leave every other operation alone."""
        kwargs = kwargs or {}
        if DRAWS not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        generators = self._streams.on(_device(args, kwargs))
        if func in MASKS:
            mask = torch.empty(args[0].shape, dtype=args[0].dtype, device=args[0].device)
            for own, generator in zip(mask, generators, strict=True):
                own.bernoulli_(args[1], generator=generator)
            return args[0].copy_(mask) if func is MASKS[1] else mask
        draws = [self._alone(func, args, kwargs, model, each) for model, each in enumerate(generators)]
        return args[0] if func.overloadpacket.__name__.endswith("_") else _together(draws)

    def _alone(self, func: Any, args: tuple[Any, ...], kwargs: Any, model: int, generator: torch.Generator) -> Any:
        """Return what one model draws."""
        default = _default(generator.device)
        default.set_state(generator.get_state())
        draw = func(*(self._own(each, model) for each in args), **kwargs)
        generator.set_state(default.get_state())
        return draw

    def _own(self, argument: Any, model: int) -> Any:
        if isinstance(argument, list):
            argument = tuple(argument)
        if isinstance(argument, tuple) and argument[:1] == (len(self._streams),):
            return argument[1:]
        if not isinstance(argument, Tensor | tuple) or (isinstance(argument, Tensor) and argument.ndim == 0):
            return argument
        if isinstance(argument, Tensor) and len(argument) == len(self._streams):
            return argument[model]
        raise RuntimeError("it draws random numbers that cannot be told apart by model")


class _InOrder(TorchDispatchMode):
    """Draw masks in the order of their entries, not of the memory that they lie in, which a stack has otherwise."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Replace `bernoulli_`; leave every other operation alone."""
        if func is MASKS[1] and not args[0].is_contiguous():
            return args[0].copy_(func(torch.empty_like(args[0], memory_format=torch.contiguous_format), *args[1:]))
        return func(*args, **(kwargs or {}))


class _Listening(TorchDispatchMode):
    """Hear whether anything is drawn."""

    def __init__(self):
        super().__init__()
        self.heard = False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        self.heard = self.heard or DRAWS in func.tags
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Heard:
    """Say where a forward pass draws random numbers from: torch, or the streams of NumPy and Python."""

    torch: bool
    elsewhere: bool

    @property
    def anything(self) -> bool:
        """Whether it draws at all."""
        return self.torch or self.elsewhere


def heard(module: nn.Module, forward: Callable[[nn.Module], object]) -> Heard:
    """Return what `forward` of a copy of `module` draws while it trains; the shared streams stay as they are."""
    copied = copy.deepcopy(module).train()
    with restoring(), torch.no_grad(), _Listening() as listening:
        before = _others()
        forward(copied)
        return Heard(listening.heard, _others_moved(before))


@contextmanager
def restoring() -> Generator[None]:
    """Leave the streams of torch, NumPy and Python that everything shares as they were."""
    before = _others()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        _set_others(before)


@contextmanager
def listening(module: nn.Module) -> Generator[list[bool]]:
    """Yield a list of whether anything was drawn from the shared streams, of each call of `module` while this lasts.

    Only what the module itself draws counts, not what stands around its calls.
    """
    drawn, before = list[bool](), list[tuple[Any, ...]]()

    def begin(*_: Any) -> None:
        before.append((torch.get_rng_state(), _others()))

    def end(*_: Any) -> None:
        own, others = before.pop()
        drawn.append(not torch.equal(torch.get_rng_state(), own) or _others_moved(others))

    handles = [module.register_forward_pre_hook(begin), module.register_forward_hook(end, prepend=True)]
    try:
        yield drawn
    finally:
        for handle in handles:
            handle.remove()


def seed_all(seed: int) -> None:
    """Begin the streams of torch, NumPy and Python that everything shares at `seed`."""
    torch.manual_seed(seed)
    _set_others(_begun(seed))


def _others_moved(before: tuple[Any, Any]) -> bool:
    now = _others()
    return now[1] != before[1] or not (np.array_equal(now[0][1], before[0][1]) and now[0][2:] == before[0][2:])


def _others() -> tuple[Any, Any]:
    return np.random.get_state(), random.getstate()  # noqa: NPY002 the stream that a user's forward may draw from


def _set_others(state: tuple[Any, Any]) -> None:
    np.random.set_state(state[0])  # noqa: NPY002
    random.setstate(state[1])


def _begun(seed: int) -> tuple[Any, Any]:
    numpy = np.random.RandomState(seed % 2**32).get_state()
    return numpy, random.Random(seed).getstate()  # noqa: S311 no secret


def _default(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    tensors = [each.device for each in args if isinstance(each, Tensor)]
    return tensors[0] if tensors else torch.device(kwargs.get("device") or "cpu")


def _together(draws: list[Any]) -> Any:
    if isinstance(draws[0], Tensor):
        return torch.stack(draws)
    return tuple(torch.stack(each) for each in zip(*draws, strict=True))
