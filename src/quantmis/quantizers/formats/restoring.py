"""Put a quantized model that someone else made into the architecture that it was made from.

A tensor of a file belongs to the part of the model that has its name. Where one prefix, such as `model.`, taken off or
put before every name makes all of them fit, that is done; all else is said with `rename`.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.models.weight_names import mapping
from quantmis.quantizers import layers as part
from quantmis.quantizers.checked import checked
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.formats import names
from quantmis.quantizers.formats.activations import round_inputs
from quantmis.quantizers.formats.artefact import GENAI, GRAPH, LITERT, NETWORK, RECORD, Artefact, read
from quantmis.quantizers.formats.beside import ACTIVATIONS
from quantmis.quantizers.formats.gguf_names import named_by_library
from quantmis.quantizers.quantized import Change, Method, Quantized
from quantmis.quantizers.record import QuantizedLayer, transposed

FREQUENCIES = "inv_freq"
OF_MATRICES = ("mxfp4",)
"""Formats whose records are named for a parameter, and not for the layer of a weight."""

WHOLE = "save the whole model, quantizers.save(quantized, path), or pass the trained model and keep=True"
PLAIN = "a model in full precision is given as safetensors: the folder of transformers, or the file of its state dict"


def restore(
    model: nn.Module,
    path: str | Path,
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    keep: bool = False,
    rounding: bool = True,
) -> Quantized:
    """Return a copy of `model` that computes with the weights of the file at `path`, and the record of its layers.

    `model` gives the architecture, and nothing else: the file must hold every one of its numbers. With `keep`, a record
    of ours may hold quantized layers alone, and all other numbers are those of `model`. `rename` says what a tensor of
    the file is called in the model (its state's names, without ".weight" for layers), where the names differ by more
    than a prefix. Layers that round their inputs where the file runs do so here, unless `rounding` is off. What the
    file says and this model does not do, such as rounding in a way that is not known, stands among what is
    `untouched`. Raises `UserError` for names or shapes that do not fit.
    """
    return restore_into(copy.deepcopy(model), path, rename, keep, rounding)


def restore_into(
    model: nn.Module,
    path: str | Path,
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    keep: bool = False,
    rounding: bool = True,
) -> Quantized:
    """Return what `restore` does, with the weights of the file in `model` itself, of which nothing is held twice."""
    artefact = _named(model, read(path), path, rename)
    require(
        artefact.others is not None or keep, f"{path} holds quantized layers and nothing else of a model", hint=WHOLE
    )
    require(artefact.layers, f"{path} holds no quantized layers: its numbers are plain floats", hint=PLAIN)
    _require_settings(model, artefact, path)
    artefact = _by_names_of_model(model, artefact, path, rename)
    hooks = artefact.roundings if rounding else {}
    method = Method(str(path), rounds_activations=bool(hooks))
    done = checked(method, model, Change(model, _written(model, artefact, path)))
    round_inputs(model, hooks)
    notes = (*artefact.notes, ACTIVATIONS) if artefact.roundings and not rounding else artefact.notes
    return replace(done, untouched=(*done.untouched, *notes))


def _written(model: nn.Module, artefact: Artefact, path: str | Path) -> tuple[QuantizedLayer, ...]:
    """Write all that a file holds into `model`; return the record of its layers and other quantized matrices."""
    others, state = artefact.others or {}, model.state_dict()
    matrices = tuple(layer for layer in artefact.layers if layer.name in state)
    layers = tuple(layer for layer in artefact.layers if layer.name not in state)
    names.require_known(model, [layer.name for layer in layers], path)
    if artefact.others is not None:
        own = {*(part.weight_key(layer.name) for layer in layers), *(layer.name for layer in matrices)}
        names.require_complete(model, own | set(others), path)
    _apart(model, layers, others)
    _load(model, others, path)
    shaped = _shaped(model, _once(model, layers), path, turn=artefact.format != RECORD)
    _fill(model, matrices, path)
    return (*write_layers(model, shaped).layers, *matrices)


def _fill(model: nn.Module, matrices: tuple[QuantizedLayer, ...], path: str | Path) -> None:
    """Write quantized parameters that are no weight of a layer, such as all experts in one; files hold them turned."""
    state = model.state_dict()
    with torch.no_grad():
        for each in matrices:
            value, own = each.dequantize().transpose(-1, -2), state[each.name]
            fits = own.shape == value.shape
            require(fits, f"{path}: {each.name} has shape {list(value.shape)}, in the model {list(own.shape)}")
            own.copy_(value)


def _named(
    model: nn.Module, artefact: Artefact, path: str | Path, rename: Mapping[str, str] | Callable[[str], str] | None
) -> Artefact:
    """Return what a file holds by the names of a model of transformers, where nobody else says what these are."""
    if not artefact.words or rename or not hasattr(model, "config"):
        return artefact
    try:
        layers, others, settings = named_by_library(model, artefact.layers, artefact.others or {}, artefact.words)
    except UserError as error:
        raise UserError(f"{path}: {error}", hint=error.hint) from error
    return replace(artefact, layers=layers, others=others, settings=settings)


def _require_settings(model: nn.Module, artefact: Artefact, path: str | Path) -> None:
    """Raise `UserError` where a file says another number of heads, base or epsilon than the model's configuration."""
    config = getattr(model, "config", None)
    words = {} if config is None else {**vars(config), **(getattr(config, "rope_parameters", None) or {})}
    for name, value in artefact.settings.items():
        own = words.get(name)
        same = not isinstance(own, int | float) or abs(own - value) <= 1e-6 * abs(value)
        require(same, f"{path}: {name} is {value:g}, that of the model {own}", hint="use the configuration of the file")


def _by_names_of_model(
    model: nn.Module, artefact: Artefact, path: str | Path, rename: Mapping[str, str] | Callable[[str], str] | None
) -> Artefact:
    """Return what a file holds by the model's names."""
    tensors = _without_spare(model, artefact.others or {}, path)
    is_matrix = artefact.format in OF_MATRICES
    coded = [layer.name if is_matrix else part.weight_key(layer.name) for layer in artefact.layers]
    new = mapping(set(model.state_dict()), [*coded, *tensors], rename)
    others = {new(name): value for name, value in tensors.items()}
    if artefact.format in (GENAI, GRAPH, LITERT, NETWORK):
        others = {name: value for name, value in others.items() if name in model.state_dict()}
    return replace(
        artefact,
        layers=tuple(replace(layer, name=new(layer.name)) for layer in artefact.layers),
        others=None if artefact.others is None else others,
        roundings={new(name): hook for name, hook in artefact.roundings.items()},
    )


def _without_spare(model: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Return tensors without those that add nothing: zero biases of layers that have none, tables that are computed.

    Raises `UserError` for a table of rotary frequencies that is not the model's.
    """
    state, tables = model.state_dict(), [each for name, each in model.named_buffers() if name.endswith(FREQUENCIES)]
    spare: set[str] = set()
    for name, value in tensors.items():
        if name.endswith(FREQUENCIES) and tables and not _may_be_of(name, state):
            same = any(each.shape == value.shape and torch.allclose(each, value.to(each), rtol=1e-2) for each in tables)
            require(same, f"{path}: {name} holds other frequencies than the model computes")
            spare.add(name)
        if name.endswith(".bias") and not _may_be_of(name, state) and not bool(value.any()):
            spare.add(name)
    return {name: value for name, value in tensors.items() if name not in spare}


def _may_be_of(name: str, state: Mapping[str, Tensor]) -> bool:
    """Say whether a tensor of a file may be one of the model, whatever comes before its name."""
    return any(own == name or own.endswith(f".{name}") or name.endswith(f".{own}") for own in state)


def _once(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> tuple[QuantizedLayer, ...]:
    """Return the layers without second copies of a weight that two layers share; `model` gets two where they differ."""
    first = {id(part.weight_of(module)): name for name, module in part.quantizable(model).items()}
    recorded: dict[str, QuantizedLayer] = {}
    for layer in layers:
        name = first.get(id(model.get_submodule(layer.name).weight), layer.name)
        own = recorded.setdefault(name, replace(layer, name=name))
        if replace(own, name=layer.name).digest() != layer.digest():
            _part(model, part.weight_key(layer.name))
            recorded[layer.name] = layer
    return tuple(recorded.values())


def _apart(model: nn.Module, layers: tuple[QuantizedLayer, ...], others: dict[str, Tensor]) -> None:
    """Give `model` two weights where a file holds two for one that layers share, quantized and not."""
    state = model.state_dict()
    coded = {state[part.weight_key(layer.name)].data_ptr() for layer in layers}
    for name in others:
        if name in state and state[name].data_ptr() in coded and state[name].numel():
            _part(model, name)


def _part(model: nn.Module, key: str) -> None:
    above, _, last = key.rpartition(".")
    module = model.get_submodule(above)
    setattr(module, last, nn.Parameter(getattr(module, last).detach().clone()))


def _load(model: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    state = model.state_dict()
    unknown = [name for name in tensors if name not in state]
    require(
        not unknown,
        f"{path}: the model has no {', '.join(unknown)}",
        hint="say with rename= (in an audit file, rename = { ... }) what they are called",
    )
    with torch.no_grad():
        for name, value in tensors.items():
            fits = value.shape == state[name].shape
            flat = value.ndim != state[name].ndim and value.numel() == state[name].numel()
            require(
                fits or flat,
                f"{path}: {name} has shape {list(value.shape)}, not those of the model, {list(state[name].shape)}",
            )
            codes = state[name].is_floating_point() and (not value.is_floating_point() or value.element_size() < 2)
            require(not codes, f"{path}: {name} holds {value.dtype}, codes without a scale")
            state[name].copy_(value.reshape(state[name].shape))


def _shaped(
    model: nn.Module, layers: tuple[QuantizedLayer, ...], path: str | Path, turn: bool
) -> tuple[QuantizedLayer, ...]:
    """Return the layers in the shapes of the model: files keep convolutions as matrices, and GPT-2's Conv1D turned."""
    result: list[QuantizedLayer] = []
    for layer in layers:
        module = model.get_submodule(layer.name)
        shape = model.get_parameter(part.weight_key(layer.name)).shape
        own = transposed(layer) if turn and part.is_transposed(module) else layer
        require(
            own.shape == shape or (own.codes.ndim != len(shape) and own.codes.numel() == shape.numel()),
            f"{path}: {layer.name} has shape {list(own.shape)}, in the model {list(shape)}",
        )
        result.append(replace(own, codes=own.codes.reshape(shape)))
    return tuple(result)
