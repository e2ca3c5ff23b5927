"""A GGUF file by itself: the configuration and the tokenizer of a language model stand in its metadata.

transformers reads them, for the architectures that it knows; weights are read by `quantmis.quantizers.formats`.
"""

import copy
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quantmis.errors import UserError, require
from quantmis.files import opened

MAGIC = b"GGUF"
PARSED: dict[tuple[str, int, int], Any] = {}
"""The metadata of the latest file, by its path, size and time."""

PRETRAINED = (
    "a file in GGUF holds quantized weights: audit it as [target] weights; to fine-tune, give the folder that it was "
    "made from"
)
OTHERS = (
    "give the folder that the file was made from as [model] folder, with config.json and tokenizer, and where tensors "
    "find no place, rename = { ... } under [target]; read without a folder are"
)
INSTALL = "pip install 'quantmis[gguf]'"


def is_gguf(place: str | Path) -> bool:
    """Say whether a place is a file that begins as GGUF files do."""
    path = Path(place)
    if not path.is_file():
        return False
    with opened(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def words_for(place: str | Path) -> tuple[str, dict[str, str]]:
    """Return what `from_pretrained` of transformers is given to read a place: a folder or hub id, or a GGUF file.

    >>> words_for("my-model")
    ('my-model', {})
    """
    path = Path(place)
    return (str(path.parent), {"gguf_file": path.name}) if is_gguf(place) else (str(place), {})


@contextmanager
def _parsed_once() -> Generator[None]:
    """Let transformers parse the metadata of a file once while this process lasts: it takes seconds, each time anew."""
    from transformers import modeling_gguf_pytorch_utils as theirs

    parse: Any = theirs.load_gguf_checkpoint

    def parsed(path: str, *others: Any, **words: Any) -> dict[str, Any]:
        if others or any(words.values()):
            return parse(path, *others, **words)
        status = Path(path).stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in PARSED:
            PARSED.clear()
            PARSED[key] = parse(path)
        return copy.deepcopy(PARSED[key])

    theirs.load_gguf_checkpoint = parsed
    try:
        yield
    finally:
        theirs.load_gguf_checkpoint = parse


@contextmanager
def explained(place: str | Path) -> Generator[None]:
    """Let transformers read a place; of a GGUF file that it cannot read, say what to do."""
    if not is_gguf(place):
        yield
        return
    try:
        with _parsed_once():
            yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{place}: reading its configuration needs the package gguf", hint=INSTALL) from error
    except Exception as error:  # of a reader of another library, which a broken file may lead anywhere
        from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES as KNOWN

        known = ", ".join(name for name in KNOWN if name not in ("general", "tokenizer"))
        why = str(error).splitlines()[0] if str(error) else ""
        message = f"{place}: transformers cannot read it by itself: {type(error).__name__}: {why}"
        raise UserError(message, hint=f"{OTHERS} {known}") from error


def require_alone(path: Path, pretrained: bool | None) -> None:
    """Raise `UserError` for a file as a model's folder that is no GGUF, or that models are to be trained from."""
    require(is_gguf(path), f"model.folder: {path} is a file, and no GGUF", hint="name a folder, or a .gguf file")
    require(not pretrained, f"model.pretrained: {path} is quantized", hint=PRETRAINED)
