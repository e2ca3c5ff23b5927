"""Weights that somebody trained: read without running anything, and put into the user's architecture."""

import hashlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from quantmis.errors import UserError, require
from quantmis.files import nearby, opened
from quantmis.models.hugging_face import renamed
from quantmis.models.weight_names import mapping, wrapped
from quantmis.registry import suggestion
from quantmis.tensor_files import START, entry, head_of, looks_like_pickle

ZIP = b"PK\x03\x04"
DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError)
SMALLEST_FLOAT = 2
"""Bytes of a number that is a weight by itself; smaller ones are codes, and want a scale."""

CHECKPOINT = ("state_dict", "model_state_dict", "model")
"""Where a checkpoint holds the weights beside the state of training."""

PACKED = "_packed_params"
AS_MODULE = (
    "in Python: qm.Target(..., versions={'our int8': the_module}); in an audit file: [[target.versions]] with "
    'predict = "module:name", a function from inputs to outputs'
)
SHOWN = 3
"""Problems of each kind that a message names."""

SAVE_SO = "save them with: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of what `torch.save(model.state_dict(), path)` wrote.

    Nothing in the file is executed: a bare pickle is refused before it is opened, and PyTorch's own archives are read
    with `weights_only=True`. Raises `UserError` for anything else, and for tensors that are no plain numbers or take
    more memory than the file holds.
    """
    path = Path(path)
    try:
        require(path.exists(), f"cannot read the weights {path}: there is no such file", hint=nearby(path))
        with opened(path, "the weights") as file:
            start = file.read(START)
        tensors = _archive(path) if start.startswith(ZIP) else _safetensors(path, start)
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror or error}") from error
    for name, value in tensors.items():
        _require_plain(path, name, value)
    return tensors


def _safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    require(
        not looks_like_pickle(start), f"{path} is a pickle, which can run any program when it is read", hint=SAVE_SO
    )
    aliases = head_of(path).words
    try:
        tensors = load_file(path)
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path} is no safetensors file, or is damaged: {error}", hint=SAVE_SO) from error
    return tensors | with_aliases(aliases, tensors)


def with_aliases(words: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `safetensors.torch.save_model` left out: those that are another one, as the head says."""
    return {name: tensors[other] for name, other in words.items() if name not in tensors and other in tensors}


def _archive(path: Path) -> dict[str, Tensor]:
    _require_no_bomb(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGED, MemoryError, OverflowError, TypeError, LookupError, AttributeError, RecursionError) as error:
        message = f"{path} holds more than tensors, which could run any program when it is read, or is damaged"
        raise UserError(message, hint=SAVE_SO) from error
    state = _state_of(loaded)
    _require_state(path, state)
    return {str(name): value for name, value in state.items()}


def _state_of(loaded: Any) -> Any:
    """Return the state dict, which may lie in a checkpoint beside other things."""
    places = [key for key in CHECKPOINT if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping)]
    return loaded[places[0]] if places else loaded


def _require_state(path: Path, state: Any) -> None:
    """Raise `UserError` unless what was read is tensors by name, and say what it is where that is known."""
    if not isinstance(state, Mapping):
        raise UserError(f"{path} holds no state dict but a {type(state).__name__}", hint=SAVE_SO)
    others = [f"{name}, a {type(value).__name__}" for name, value in state.items() if not isinstance(value, Tensor)]
    if any(PACKED in each for each in others):
        raise UserError(f"{path} holds layers that torch.ao packed, which only its modules compute", hint=AS_MODULE)
    require(not others, f"{path} holds no state dict: beside tensors there is {', '.join(others[:3])}", hint=SAVE_SO)


def _require_no_bomb(path: Path) -> None:
    """Raise `UserError` for an archive with packed parts, which may unfold to any size, or with two of one name."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise UserError(f"{path} is damaged: {error}", hint=SAVE_SO) from error
    names = {part.filename for part in parts}
    is_program = any("/code/" in each for each in names)
    state = "save_file(torch.jit.load(path).state_dict(), 'model.safetensors')"
    require(not is_program, f"{path} is TorchScript, a program", hint=f"give its weights: safetensors.torch.{state}")
    plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts) and len(names) == len(parts)
    length = sum(part.file_size for part in parts)
    require(
        plain and length <= path.stat().st_size,
        f"{path} is no archive as torch.save writes it: its parts are compressed, overlap or come twice",
        hint=SAVE_SO,
    )


def _require_plain(path: Path, name: str, value: Tensor) -> None:
    """Raise `UserError` unless a tensor holds all of its numbers, real ones, in memory of its own."""
    kind = type(value)
    own = f"{path}: {name!r} is a {kind.__name__} of {kind.__module__.partition('.')[0]}, which its modules compute"
    require(kind in (Tensor, nn.Parameter), own, hint=AS_MODULE)
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_meta and not value.is_complex()
    if not plain:
        kind = f"{value.layout} {value.dtype}" + (" without numbers" if value.is_meta else "")
        raise UserError(f"{path}: {name!r} is {kind}, and no plain tensor of real numbers", hint=SAVE_SO)
    stored = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > stored:
        spread = f"{path}: {name!r} spreads {stored} bytes over {value.numel()} numbers"
        raise UserError(spread, hint="store it whole: value.contiguous()")


def with_weights(
    fresh: nn.Module,
    weights: Mapping[str, Tensor],
    name: str,
    adopts: bool = False,
    rename: Mapping[str, str] | None = None,
) -> nn.Module:
    """Return `fresh` with `weights` in it; `UserError` says which names or shapes do not fit.

    A weight that `fresh` shares between two names may come under one of them. `rename` says what names of the weights
    are called in the model; without it, one prefix before all of them is taken off, such as a wrapper's, or put there.
    Where it `adopts` the weights, they are not copied, and keep their number format.
    """
    own = fresh.state_dict()
    weights = _renamed(own, weights, name, rename)
    weights = renamed(fresh, {**_shared(own, weights), **weights})
    _require_fitting(own, weights, name)
    if adopts:
        _adopt(fresh, weights)
    else:
        fresh.load_state_dict(dict(weights))
    finite = all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point())
    require(finite, f"{name} holds weights that are NaN or infinite")
    return fresh


def _renamed(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], name: str, rename: Mapping[str, str] | None
) -> dict[str, Tensor]:
    """Return weights by the names of the model, as far as they are known to be those."""
    strangers = sorted(set(rename or {}) - set(weights))
    known = suggestion(strangers[0], weights) if strangers else None
    require(not strangers, f"{name}: rename names {', '.join(strangers[:3])}, which it does not hold", hint=known)
    new = mapping(set(own), list(weights), rename or None)
    by_name = {new(key): value for key, value in weights.items()}
    require(len(by_name) == len(weights), f"{name}: rename gives two weights one name")
    return by_name


def _require_fitting(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], name: str) -> None:
    """Raise `UserError` unless the weights are those of the model; it names some of each kind of problem."""
    kinds = (
        [f"{key} is missing" for key in own if key not in weights],
        [f"{key} is unknown to the model" for key in weights if key not in own],
        [words for key, value in own.items() if key in weights if (words := _misfit(key, weights[key], value))],
    )
    problems = [problem for each in kinds for problem in each[:SHOWN]]
    rest = sum(map(len, kinds)) - len(problems)
    more = f" and {rest} more" if rest else ""
    hint = wrapped(weights) or (
        "the model of the audit must be built exactly as the one whose weights these are; "
        "where names alone differ: rename = { name in the file = name in the model }"
    )
    require(not problems, f"{name} does not fit the model: {'; '.join(problems)}{more}", hint=hint)


def _adopt(fresh: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Make `weights` those of `fresh`; what `fresh` shares between names stays shared."""
    places: list[tuple[Any, str, str, Tensor]] = [
        (own, key, f"{prefix}.{key}".removeprefix("."), value)
        for prefix, module in fresh.named_modules()
        for own in (module._parameters, module._buffers)  # pyright: ignore[reportPrivateUsage]
        for key, value in own.items()
        if value is not None
    ]
    adopted: dict[int, Tensor] = {}
    for own, key, name, value in places:
        if name in weights:
            as_here = nn.Parameter(weights[name]) if isinstance(value, nn.Parameter) else weights[name]
            own[key] = adopted.setdefault(id(value), as_here)


def _shared(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the missing weights that the model itself shares with one that is there."""
    there = {value.data_ptr(): weights[key] for key, value in own.items() if key in weights and value.numel()}
    return {key: there[value.data_ptr()] for key, value in own.items() if key not in weights and _at(value, there)}


def _at(value: Tensor, places: Mapping[int, Tensor]) -> bool:
    return value.data_ptr() in places and places[value.data_ptr()].shape == value.shape


def _misfit(key: str, value: Tensor, own: Tensor) -> str:
    """Return what is wrong with a weight for the place of `own` in a model; nothing where it fits."""
    if value.shape != own.shape:
        return f"{key} is {list(value.shape)} and should be {list(own.shape)}"
    numbers = own.is_floating_point() == value.is_floating_point() and value.element_size() >= SMALLEST_FLOAT
    whole = not own.is_floating_point() and not value.is_floating_point()
    return "" if numbers or whole else f"{key} holds {value.dtype} and should hold {own.dtype}: codes without a scale"


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of all parameters and buffers, in hexadecimal.

    Tensors of other libraries count with the tensors that they are made of, and what is no tensor by its words.
    """
    parts = {name: part for key, value in module.state_dict().items() for name, part in _plain_parts(key, value)}
    return tensors_digest(parts)


def _plain_parts(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the plain tensors that a value of a state dict is made of, by names of their own."""
    if isinstance(value, Tensor) and value.is_quantized:
        yield f"{name}.codes", value.int_repr()
        yield f"{name}.numbers", value.dequantize()
    elif isinstance(value, Tensor) and is_traceable_wrapper_subclass(value):
        for each in value.__tensor_flatten__()[0]:
            yield from _plain_parts(f"{name}.{type(value).__name__}.{each}", getattr(value, each))
    elif isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for place, each in enumerate(value):
            yield from _plain_parts(f"{name}.{place}", each)
    else:
        yield f"{name}: {value!r}", torch.empty(0)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of tensors, in hexadecimal, whatever their order."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items(), key=itemgetter(0)):
        digest.update(entry(name, str(value.dtype), tuple(value.shape), value.nbytes))
        digest.update(raw_bytes(value))
    return digest.hexdigest()


def raw_bytes(value: Tensor) -> memoryview:
    """Return the bytes of a tensor of any number format, without a copy where it has no gaps."""
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")
