"""What transformers calls the tensors of a GGUF file, by its own table and gguf's, for the architectures it knows.

Some of these keep numbers otherwise in a file than in the model. Where that is so of norms alone (Gemma and Nemotron
add one), transformers' own code undoes it; an architecture whose quantized matrices are rearranged is refused by name.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.models.hugging_face import library, quiet
from quantmis.quantizers.formats.llama_cpp import COMPUTED, MEANING, SETTINGS, SHOWN
from quantmis.quantizers.record import QuantizedLayer

OF_NORMS = ("TensorProcessor", "Gemma2TensorProcessor", "NemotronTensorProcessor")
"""The code of transformers that changes no matrix."""

PER_FILE = ("max_position_embeddings", "vocab_size")
"""What a configuration may say otherwise: how long texts may be, and how many tokens embeddings are filled up to."""

RENAME = "say with rename= (in an audit file, rename = { ... }) what its tensors are called in the model"


def named_by_library(
    model: nn.Module, layers: tuple[QuantizedLayer, ...], others: Mapping[str, Tensor], words: Mapping[str, object]
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor], dict[str, float]]:
    """Return layers and tensors of a file as `model` names and holds them, and what its metadata says of settings.

    `words`: the metadata. Raises `UserError` for an architecture that is not known, or rearranged, and for metadata
    that is not understood.
    """
    kind = str(words.get("general.architecture"))
    tables = _tables(kind)
    processor = tables.TENSOR_PROCESSORS.get(kind, tables.TensorProcessor)
    require(
        processor.__name__ in OF_NORMS,
        f"files of the architecture {kind} hold matrices in another order than transformers, which is not undone here",
        hint="give a version in safetensors",
    )
    config: Any = model.config
    with quiet():
        one = processor(config=config.to_dict())
        try:
            names: dict[str, str] = tables.get_gguf_hf_weights_map(model, one)
        except NotImplementedError as error:
            raise UserError(f"gguf has no names for the architecture {kind}", hint=RENAME) from error
    coded = tuple(replace(each, name=_name(names, each.name, ".weight")) for each in layers)
    plain = {_name(names, name): _as_in_model(one, name, value) for name, value in others.items() if not _spare(name)}
    return coded, plain, _settings(kind, words, tables)


def _tables(kind: str) -> Any:
    """Return transformers' tables of GGUF files; `UserError` for an architecture that it does not know."""
    library()
    try:
        import_module("gguf")  # which transformers needs
        from transformers import modeling_gguf_pytorch_utils as tables
    except ImportError as error:
        message = f"naming the tensors of the architecture {kind} needs the package gguf"
        raise UserError(message, hint="pip install 'quantmis[gguf]'") from error
    known = tables.GGUF_SUPPORTED_ARCHITECTURES
    require(
        kind in known or kind.replace("-", "_") in known,
        f"the architecture {kind} is none that transformers reads from GGUF",
        hint=f"{RENAME}; read are {', '.join(each for each in known if each not in ('general', 'tokenizer'))}",
    )
    return tables


def _name(names: Mapping[str, str], name: str, end: str = "") -> str:
    """Return what transformers calls a tensor, or a layer, whose tensor has the `end`; others stay as they are."""
    return names.get(name + end, name + end).removesuffix(end)


def _spare(name: str) -> bool:
    return name.startswith(COMPUTED)


def _as_in_model(processor: Any, name: str, value: Tensor) -> Tensor:
    done = processor.process(value.numpy(), name=name, tensor_key_mapping={}, parsed_parameters={"tensors": {}})
    return torch.from_numpy(done.weights)


def _settings(kind: str, words: Mapping[str, object], tables: Any) -> dict[str, float]:
    """Return what metadata says of the computation, by the names of the configuration; each word must be understood."""
    table = tables.GGUF_TO_TRANSFORMERS_MAPPING["config"].get(kind.replace("-", "_"), {})
    own = {name.removeprefix(f"{kind}."): value for name, value in words.items() if name.startswith(f"{kind}.")}
    settings = dict[str, float]()
    for name, value in own.items():
        known = name in table or name in SHOWN or name in SETTINGS
        require(known, f"{kind}.{name} = {value!r} is not understood", hint=MEANING)
        theirs = (table[name],) if name in table else SETTINGS.get(name, ())
        single = name in SHOWN or isinstance(value, int | float)
        require(single, f"{kind}.{name} is {value!r}, another for each layer, which is not understood", hint=MEANING)
        if isinstance(value, int | float):
            settings |= {each: float(value) for each in theirs if isinstance(each, str) and each not in PER_FILE}
    return settings
