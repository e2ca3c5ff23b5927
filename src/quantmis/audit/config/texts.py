"""The texts of an audit file, and the tokenizer that reads them: that of the trained model, or of the base."""

from functools import cache
from pathlib import Path

from quantmis.audit.config.sections import AuditFile
from quantmis.data.paths import inside
from quantmis.data.sources import read_text
from quantmis.data.texts import Texts
from quantmis.model_folders import last_checkpoint
from quantmis.models.sources import transformer
from quantmis.models.tokenizers import TOKENIZERS, Tokens, tokenizer_at


def texts_of(file: AuditFile, folder: Path, distinct: bool, mark: str | None = None) -> Texts:
    """Return the texts that the file names; `distinct` and `mark` as `quantmis.data.sources.read_text` takes them."""

    @cache
    def end() -> int:
        place = own_tokenizer(file, folder) or transformer(file.model, folder).place
        return Tokens(tokenizer_at(place)).end_token

    return read_text(file.data, folder, distinct, mark, end)


def own_tokenizer(file: AuditFile, folder: Path) -> Path | None:
    """Return the folder of the trained model where it brings its tokenizer with it."""
    return None if file.target is None else tokenizer_of(inside(folder, file.target.weights, "target.weights"))


def tokenizer_of(weights: Path) -> Path | None:
    """Return the folder of a trained model where it brings its tokenizer with it, as Trainers save one."""
    place = last_checkpoint(weights)
    return place if place.is_dir() and any((place / name).is_file() for name in TOKENIZERS) else None
