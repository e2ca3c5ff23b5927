"""Files that are whole or absent: written under a temporary name, synced, and renamed into place."""

import hashlib
import os
import tempfile
from pathlib import Path

from quantmis.errors import UserError

BLOCK = 2**20


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name beside `path`, sync it, and rename it into place."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror}", hint="free some space or choose another --out folder")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, or of all that says what the model in a folder is.

    That is the names, sizes and bytes of its safetensors and JSON files.
    """
    digest, folder = hashlib.sha256(), path.is_dir()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*.json")]) if folder else [path]:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() if folder else b"")
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
