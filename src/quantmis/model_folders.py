"""A folder that holds a model, before any of it is loaded: nothing in it may run code, leave it, or outgrow it.

A configuration of a few bytes can ask for billions of weights, for code that comes with it, or for kernels from the
network; an index can name files elsewhere; the names of an adapter's layers can be a regular expression that never
ends. Each is refused by its name.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from quantmis.errors import require
from quantmis.files import content_of
from quantmis.tensor_files import LARGEST_JSON, head_of, strict_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from re import _parser as expressions  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json", "processor_config.json")
INDEX = "*.index.json"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
CODE = ("auto_map", "custom_pipelines")
"""Words that name code to be run."""

IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(_internal|_autoset)?")
BUILT_IN = (None, "eager", "sdpa", "flex_attention", "grouped_mm", "batched_mm", True, False)
"""Ways to compute that come with transformers and torch; others may be fetched from the network."""

LAYERS = re.compile(r"(num_|n_)?(hidden_|encoder_|decoder_)?layers?")
WIDE = ("hidden_size", "d_model", "n_embd")
WIDTHS = (*WIDE, "vocab_size", "intermediate_size", "ffn_dim", "d_ff", "n_inner", "embedding_size", "num_labels")
SLACK = 2**24
"""Numbers that a configuration may ask for whatever its weights are."""

CHECKPOINT = re.compile(r"checkpoint-\d{1,12}")
PATTERNS = ("target_modules", "exclude_modules", "layers_pattern")
PATTERN_TABLES = ("rank_pattern", "alpha_pattern")
REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
LONGEST_PATTERN, MOST_REPEATS, MOST_CHOICES = 500, 3, 1000


def last_checkpoint(path: Path) -> Path:
    """Return the folder of the model in what a Trainer wrote: the last checkpoint where there is none at its top.

    Any other path comes back as it is.
    """
    if not path.is_dir() or any((path / name).is_file() for name in (CONFIGS[0], ADAPTER)):
        return path
    checkpoints = [each for each in path.iterdir() if CHECKPOINT.fullmatch(each.name) and each.is_dir()]
    return max(checkpoints, key=lambda each: int(each.name.rpartition("-")[2]), default=path)


def require_sound(folder: Path) -> None:
    """Raise `UserError` for what a folder of a model may not hold; nothing of it is loaded."""
    for file in sorted(folder.glob(INDEX)):
        _require_inside(folder, file)
    for file in (folder / name for name in CONFIGS):
        if file.is_file():
            _require_harmless(folder, file, strict_json(content_of(file, most=LARGEST_JSON), str(file)))
    if (folder / ADAPTER).is_file():
        _require_adapter(folder)


def _require_inside(folder: Path, index: Path) -> None:
    words = strict_json(content_of(index, most=LARGEST_JSON), str(index))
    names = words.get("weight_map") if isinstance(words, dict) else None
    require(isinstance(names, dict), f"{index} has no weight_map")
    for name in {str(each) for each in (names or {}).values()}:
        plain = Path(name).name == name and "\\" not in name and name not in (".", "..")
        require(plain, f"{index} names {name!r}, which lies outside of its folder", hint="move all files into one")
        there = (folder / name).is_file() and name.endswith(".safetensors")
        require(there, f"{index} names {name!r}, and {folder} holds no such safetensors file")


def _require_harmless(folder: Path, file: Path, words: Any) -> None:
    require(isinstance(words, dict), f"{file} holds no table")
    tensors, most = _size(folder)
    for name, value in _entries(words):
        require(
            name not in CODE or not value,
            f"{file}: {name} names code of the model's own, which is not run",
            hint="convert the model to an architecture of transformers",
        )
        if IMPLEMENTATION.fullmatch(name):
            own = value.values() if isinstance(value, dict) else [value]
            built_in = all(each in BUILT_IN for each in own)
            require(built_in, f"{file}: {name} = {value!r} is not built in", hint='take it out, or write "eager"')
    if tensors:
        _require_small(file, words, tensors, most)


def _require_small(file: Path, words: Mapping[str, Any], tensors: int, most: int) -> None:
    """Raise `UserError` where a configuration asks for more layers or numbers than the weights beside it can hold."""
    numbers = {name: value for name, value in _entries(words) if type(value) is int}
    layers = [value for name, value in numbers.items() if LAYERS.fullmatch(name)]
    widths = [numbers[name] for name in WIDTHS if name in numbers]
    wide = max((numbers[name] for name in WIDE if name in numbers), default=1)
    deep = max(layers, default=1)
    require(
        deep <= tensors and wide * max(*widths, 1, 1) <= most and deep * wide * wide <= most,
        f"{file} asks for {deep} layers and widths up to {max(*widths, 1, 1)}, more than its {tensors} tensors hold",
        hint="the configuration is not that of these weights",
    )


def _size(folder: Path) -> tuple[int, int]:
    """Return how many tensors the weights of a folder are, and how many numbers they can hold at most."""
    files = [file for file in sorted(folder.glob("*.safetensors")) if file.is_file()]
    tensors = sum(len(head_of(file).tensors) for file in files)
    return tensors, SLACK + 8 * sum(file.stat().st_size for file in files)


def _entries(words: Any) -> Iterator[tuple[str, Any]]:
    """Yield every word of a configuration and of the tables in it, with its value."""
    waiting = [words]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from ((str(name), value) for name, value in one.items())
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _require_adapter(folder: Path) -> None:
    file = folder / ADAPTER
    words = strict_json(content_of(file, most=LARGEST_JSON), str(file))
    require(isinstance(words, dict), f"{file} holds no table")
    others = [each.name for each in sorted(folder.iterdir()) if each.suffix in (".bin", ".pt", ".pth", ".pkl")]
    require(
        (folder / ADAPTER_WEIGHTS).is_file() and not any(name.startswith("adapter") for name in others),
        f"{folder}: weights of an adapter are read from {ADAPTER_WEIGHTS} alone, and there is {others or 'nothing'}",
        hint="save it as safetensors: model.save_pretrained(folder, safe_serialization=True)",
    )
    head_of(folder / ADAPTER_WEIGHTS)
    for name, pattern in _patterns(words):
        require_short_work(f"{file}: {name}", pattern)


def _patterns(words: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in PATTERNS:
        value = words.get(name)
        yield from ((name, each) for each in ([value] if isinstance(value, str) else []))
    for name in PATTERN_TABLES:
        value = words.get(name) or {}
        require(isinstance(value, dict), f"{ADAPTER}: {name} is no table")
        yield from ((name, str(each)) for each in value)


def require_short_work(where: str, pattern: str) -> None:
    """Raise `UserError` for a regular expression that may take forever: repeats within repeats, or many of them.

    >>> require_short_work("target_modules", r".*layers.(0|1).*(q|v)_proj")
    """
    hint = "list the names of the layers instead"
    require(len(pattern) <= LONGEST_PATTERN, f"{where} is a pattern of {len(pattern)} characters", hint=hint)
    try:
        parsed = expressions.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        require(False, f"{where} = {pattern!r} is no regular expression: {error}", hint=hint)
        return
    work = _work(parsed, within=False)
    small = work.repeats <= MOST_REPEATS and work.choices <= MOST_CHOICES and not work.is_nested
    require(small, f"{where} = {pattern!r} may take forever to match", hint=hint)


class _Work(NamedTuple):
    """Hold how many parts of an expression are repeated, in how many ways the others can be, and choices in repeats."""

    repeats: int
    choices: int
    is_nested: bool


def _work(parsed: Any, within: bool) -> _Work:
    """Return what matching an expression may have to try, where it is `within` a part that is repeated or not."""
    repeats, choices, nested = 0, 1, False
    for operator, arguments in parsed:
        name = str(operator)
        require(not name.startswith("GROUPREF"), "a pattern refers to a group", hint="list the names instead")
        repeat = name in REPEATS and arguments[1] > 1
        ways = len(arguments[1]) if name == "BRANCH" else 2 if name in REPEATS and arguments[:2] == (0, 1) else 1
        parts = [_work(each, within or repeat) for each in _inner(arguments)]
        repeats += repeat + sum(each.repeats for each in parts)
        choices *= ways * prod(each.choices for each in parts)
        nested |= (within and (repeat or ways > 1)) or any(each.is_nested for each in parts)
    return _Work(repeats, choices, nested)


def _inner(arguments: Any) -> Iterator[Any]:
    """Yield the expressions within the arguments of an operator."""
    if isinstance(arguments, expressions.SubPattern):
        yield arguments
    elif isinstance(arguments, tuple | list):
        for each in arguments:
            yield from _inner(each)
