"""Arrays in an `.npz` file, read without pickles."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from quantmis.data.paths import unreadable
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.registry import suggestion


def read_npz(path: Path, key: str, x: str = "x", y: str = "y", ids: str | None = None) -> Samples:
    """Return the samples whose inputs, targets and ids stand in the named arrays of a file.

    Raises `UserError` for a missing array, and for pickled objects, which are not opened.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            require(
                isinstance(arrays, np.lib.npyio.NpzFile), f"{key}: {path.name} holds one array: save x and y together"
            )
            for name in filter(None, (x, y, ids)):
                hint = f"{suggestion(name, arrays)}; np.savez(path, x=x, y=y)"
                require(name in arrays, f"{key}: {path.name} holds {', '.join(arrays)}, not {[name]}", hint=hint)
            return Samples(arrays[x], arrays[y], ids=arrays[ids] if ids else None)
    except OSError as error:
        raise unreadable(path, key, error) from error
    except (ValueError, EOFError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error) as error:
        hint = "pickled objects are refused: they can run code; save plain arrays"
        raise UserError(f"{key}: cannot read {path}: {error}", hint=hint) from error
