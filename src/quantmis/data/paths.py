"""Files that an audit names: found beside it, and refused by name where opening them could run code.

A relative path stays inside the folder of the audit file, links followed, so that a folder that is copied elsewhere
still means the same files; what lies elsewhere is named by its absolute path.
"""

from pathlib import Path

from quantmis.errors import require
from quantmis.files import nearby, unreadable

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".dill", ".npy")


def inside(folder: Path, spelled: str, key: str) -> Path:
    """Return the file or folder that `spelled` names beside an audit file in `folder`; `key` names it in errors.

    Raises `UserError` for a path that climbs out of `folder`, that is not there, or that must not be read.
    """
    require(spelled and "\0" not in spelled, f"{key}: expected a path, got {spelled!r}")
    path = folder / spelled
    try:
        real = path.resolve()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # the last for a name that is no Unicode
        raise unreadable(path, key, error) from error
    require(
        Path(spelled).is_absolute() or real.is_relative_to(folder.resolve()),
        f"{key}: {spelled} leads out of the folder of the audit file, to {real}",
        hint="put it beside the audit file, or name it by its absolute path",
    )
    require(there, f"{key}: cannot read {path}: no such file or folder", hint=nearby(path))
    return path


def require_no_pickle(path: Path, key: str, hint: str) -> None:
    """Raise `UserError` where the name of a file says that it is a pickle; it is not opened."""
    require(
        path.suffix.lower() not in PICKLES,
        f"{key}: {path.name} may be a pickle, which can run code when it is opened: it was not opened",
        hint=hint,
    )
