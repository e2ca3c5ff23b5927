"""Folders of onnxruntime-genai: a decoder as an ONNX graph with many inputs, and a configuration that says its shape.

Its builder names layers in its own way, and puts the rows of queries, keys and values of a layer into one matrix.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.inspection.found import Inspection, Layer
from quantmis.tensor_files import LARGEST_JSON, strict_json

CONFIG = "genai_config.json"
TYPES = ("llama", "mistral", "qwen2")
"""Models whose numbers the builder keeps as they are; of others it changes some, such as norms of Gemma."""

INSTEAD = "give the folder of transformers that it was built from, or a GGUF file of the model"
EXACT = "weights are those of the file, in the model of transformers"
JOINED, PARTS = "qkv_proj", ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True)
class Decoder:
    """Hold what a configuration says of the decoder: its file and its shape."""

    file: str
    layers: int
    heads: int
    key_heads: int
    size: int
    hidden: int

    @property
    def rows(self) -> tuple[int, int, int]:
        """The rows of queries, keys and values in the matrix that holds all three."""
        return self.heads * self.size, self.key_heads * self.size, self.key_heads * self.size

    @property
    def settings(self) -> dict[str, float]:
        """What must be so in the configuration of the model of transformers."""
        return {
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_heads,
            "hidden_size": self.hidden,
            "head_dim": self.size,
        }

    def names(self, name: str) -> tuple[str, ...]:
        """Return what a tensor of the graph, or its layer, is called in transformers: three for one that is joined.

        >>> Decoder("", 2, 4, 2, 8, 32).names("model.layers.0.attn.o_proj.MatMul")
        ('model.layers.0.self_attn.o_proj',)
        """
        own = re.sub(r"\.(MatMul|Add)(?=$|\.(weight|bias)$)", "", name).replace(".attn.", ".self_attn.")
        own = own.replace(f"model.layers.{self.layers}.final_norm_layernorm.", "model.norm.")
        return tuple(own.replace(JOINED, part) for part in PARTS) if JOINED in own else (own,)


def config_of(path: Path) -> Path:
    """Return where the configuration is of a folder, or beside a file."""
    return (path if path.is_dir() else path.parent) / CONFIG


def is_genai(path: Path) -> bool:
    """Say whether a folder, or that of a file, is one of onnxruntime-genai."""
    return config_of(path).is_file()


def model_file(folder: Path) -> Path:
    """Return the file of the graph in a folder; `UserError` where the configuration names none beside it."""
    name = _whole(folder).get("filename")
    plain = isinstance(name, str) and Path(name).name == name and (folder / name).is_file()
    require(plain, f"{folder / CONFIG} names {name!r}, which is no file beside it")
    return folder / str(name)


def decoder_of(path: Path) -> Decoder:
    """Return what the configuration of a folder, or beside a file, says; `UserError` for a model that is not read."""
    folder = config_of(path).parent
    file, words = model_file(folder), _whole(folder)
    kind = _model(folder).get("type")
    require(kind in TYPES, f"{path} is a model of type {kind!r}; read are {', '.join(TYPES)}", hint=INSTEAD)
    keys = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_size", "hidden_size")
    numbers = [words.get(key) for key in keys]
    sound = all(type(each) is int and 0 < each < 2**24 for each in numbers)
    require(sound, f"{folder / CONFIG}: {', '.join(keys)} are {numbers}, which are no sizes")
    return Decoder(file.name, *(int(each or 0) for each in numbers))


def decoder_in(found: Inspection, path: Path, rounds: bool) -> Inspection:
    """Return what an inspection found in a graph by the names of transformers; `rounds`: whether inputs are rounded."""
    named = replace(found, looks_like="a decoder of onnxruntime-genai", format="onnxruntime-genai")
    try:
        decoder = decoder_of(path)
    except UserError as error:
        return replace(named, why=str(error))
    layers = tuple(part for each in found.layers for part in _parts(each, decoder))
    plain = tuple(
        replace(each, name=name, shape=(rows, *each.shape[1:]) if len(names) > 1 else each.shape)
        for each in found.unquantized
        if (names := decoder.names(each.name))
        for name, rows in zip(names, decoder.rows, strict=False)
    )
    why = "weights are those of the file; inputs of layers are rounded where it runs, which is not repeated"
    return replace(
        named, layers=layers, unquantized=plain, is_read=True, is_exact=not rounds, why=why if rounds else EXACT
    )


def _parts(layer: Layer, decoder: Decoder) -> list[Layer]:
    names = decoder.names(re.sub(r"_Q[248]$", "", layer.name).removesuffix(".weight"))
    whole = sum(decoder.rows)
    shares = decoder.rows if len(names) > 1 else (whole,)
    return [
        replace(layer, name=name, weights=(layer.weights or 0) * rows // whole)
        for name, rows in zip(names, shares, strict=True)
    ]


def _model(folder: Path) -> Mapping[str, Any]:
    content = strict_json(content_of(folder / CONFIG, most=LARGEST_JSON), str(folder / CONFIG))
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise UserError(f"{folder / CONFIG} says nothing of a model")
    return cast(dict[str, Any], model)


def _whole(folder: Path) -> Mapping[str, Any]:
    decoder = _model(folder).get("decoder")
    if not isinstance(decoder, dict):
        raise UserError(f"{folder / CONFIG} says nothing of a decoder: this is no language model")
    return cast(dict[str, Any], decoder)
