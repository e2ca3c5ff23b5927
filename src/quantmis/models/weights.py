"""Weights that somebody trained: read without running anything, and put into the user's architecture."""

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.models.hugging_face import renamed

ZIP = b"PK\x03\x04"
SAVE_SO = "save them with: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of what `torch.save(model.state_dict(), path)` wrote.

    Nothing in the file is executed: a bare pickle is refused before it is opened, and PyTorch's own archives are read
    with `weights_only=True`. Raises `UserError` for anything else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(ZIP))
        return _archive(path) if start == ZIP else _safetensors(path, start)
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror or error}") from error


def _safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    pickled = start.startswith(b"\x80")
    require(not pickled, f"{path} is a pickle, which can run any program when it is read", hint=SAVE_SO)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file, or is damaged: {error}", hint=SAVE_SO) from error


def _archive(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError) as error:
        message = f"{path} holds more than tensors, which could run any program when it is read, or is damaged"
        raise UserError(message, hint=SAVE_SO) from error
    found = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    good = isinstance(found, Mapping) and all(isinstance(value, Tensor) for value in found.values())
    require(good, f"{path} holds no state dict but a {type(found).__name__}", hint=SAVE_SO)
    return dict(found)


def with_weights(fresh: nn.Module, weights: Mapping[str, Tensor], name: str) -> nn.Module:
    """Return `fresh` with `weights` in it; `UserError` says which names or shapes do not fit."""
    weights, own = renamed(fresh, weights), fresh.state_dict()
    problems = [
        *(f"{key} is missing" for key in own if key not in weights),
        *(f"{key} is unknown to the model" for key in weights if key not in own),
        *(
            f"{key} is {list(weights[key].shape)} and should be {list(own[key].shape)}"
            for key in own
            if key in weights and weights[key].shape != own[key].shape
        ),
    ]
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    hint = "the model of the audit must be built exactly as the one whose weights these are"
    require(not problems, f"{name} does not fit the model: {'; '.join(problems[:3])}{more}", hint=hint)
    fresh.load_state_dict(dict(weights))
    finite = all(bool(torch.isfinite(value).all()) for value in weights.values() if value.is_floating_point())
    require(finite, f"{name} holds weights that are NaN or infinite")
    return fresh


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of the names, types, shapes and bytes of all parameters and buffers, in hexadecimal."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(raw_bytes(value))
    return digest.hexdigest()


def raw_bytes(value: Tensor) -> bytes:
    """Return the bytes of a tensor of any number format."""
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
