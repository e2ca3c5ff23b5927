"""What the configuration beside a quantized model may say: a closed world of words, each with what it may be.

A word that is not known here may change what the model computes, so it is refused by its name, and so is a known word
with a value that is not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.tensor_files import LARGEST_JSON, strict_json

NOTHING = (None, {}, [], "")
"""What stands for an absent word."""

FILES = ("config.json", "quantize_config.json", "quant_config.json", "hf_quant_config.json", "quanto_qmap.json")
OWN_TABLES = {"hf_quant_config.json": ("quantization", "modelopt"), "quanto_qmap.json": ("", "quanto")}
"""Files that belong to one tool: the table in it that counts, where it is not the whole, and the name of the tool."""
HINT = "what it does to the model is not repeated here; numbers of an audit would be those of another model"


@dataclass(frozen=True)
class Vocabulary:
    """Hold the words of a configuration that change nothing that tensors do not show, and the `values` of others."""

    free: frozenset[str]
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])


def words_of(*names: str) -> frozenset[str]:
    """Return the words in strings, divided by spaces."""
    return frozenset(word for name in names for word in name.split())


def require_understood(where: str, words: object, vocabulary: Vocabulary) -> None:
    """Raise `UserError` for the first word, by its name, that is not in `known` or says what is not read.

    >>> require_understood("config.json", {"bits": 4, "rotation": None}, Vocabulary(frozenset({"bits"})))
    """
    if not isinstance(words, Mapping):
        raise UserError(f"{where} is no table")
    for name, value in words.items():
        if name in vocabulary.free or any(value == each for each in NOTHING):
            continue
        require(name in vocabulary.values, f"{where}: {name} = {_short(value)} is not understood", hint=HINT)
        read = ", ".join(map(repr, vocabulary.values[name])) or "no value"
        fits = any(value == each and type(value) is type(each) for each in vocabulary.values[name])
        require(fits, f"{where}: {name} = {_short(value)} is not understood; read: {read}", hint=HINT)


def configuration(folder: Path) -> dict[str, Any]:
    """Return how the files of a folder were quantized, where a configuration beside them says so.

    Raises `UserError` where two of them say different things.
    """
    words: dict[str, Any] = {}
    for file in (folder / name for name in FILES):
        if file.is_file():
            content = strict_json(content_of(file, most=LARGEST_JSON), str(file))
            require(isinstance(content, dict), f"{file} holds no table")
            own = _own(file, content)
            differing = [name for name in own if name in words and words[name] != own[name]]
            require(not differing, f"{file}: {', '.join(differing[:3])} differ from what {FILES[0]} says")
            words |= own
    return words


def _own(file: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says of quantization. MLX has a table of its own name, and mostly the same again."""
    if file.name == FILES[0]:
        is_mlx = isinstance(content.get("quantization"), dict)
        own: Any = content.get("quantization_config") or {}
        require(isinstance(own, dict), f"{file}: quantization_config is no table")
        both = {**content["quantization"], **own} if is_mlx else own
        return {"quant_method": "mlx", **both} if is_mlx else both
    table, tool = OWN_TABLES.get(file.name, ("", ""))
    own = content.get(table) if table else content
    require(isinstance(own, dict), f"{file}: {table} is no table")
    return {**own, "quant_method": own.get("quant_method", tool)} if tool else own


def numbers(words: Mapping[str, Any], *names: str) -> Sequence[int]:
    """Return the whole numbers that the named words are, of those that are some."""
    return [words[name] for name in names if type(words.get(name)) is int]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
