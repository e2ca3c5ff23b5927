"""The file that ships, held against the weights that were audited: by its bytes, and by the tensors in it.

Nothing is loaded: a safetensors file says in its head where each tensor's bytes are.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from quantmis.errors import UserError, require
from quantmis.files import digest_of

KINDS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
LARGEST_HEAD = 10**8


@dataclass(frozen=True)
class Shipped:
    """Hold the SHA-256 of the bytes of a file or folder of weights and, of a safetensors file, that of its tensors."""

    name: str
    file: str
    tensors: str | None


def shipped(path: Path) -> Shipped:
    """Return the digests of the file or folder of weights that ships; `UserError` where it cannot be read."""
    try:
        return Shipped(path.name, digest_of(path), _tensors(path) if path.is_file() else None)
    except OSError as error:
        hint = "name the file of weights that ships"
        raise UserError(f"cannot read the weights {path}: {error.strerror or error}", hint=hint) from error


def _tensors(path: Path) -> str | None:
    """Return the SHA-256 of names, types, shapes and bytes, as results.json has it in target.digest."""
    if path.suffix != ".safetensors":
        return None
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        require(size <= LARGEST_HEAD, f"{path} is no safetensors file", hint="its head is too large")
        try:
            head: dict[str, Any] = json.loads(file.read(size))
            head.pop("__metadata__", None)
            return _digest(file, head, 8 + size)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is no safetensors file, or is damaged", hint="save it again") from error


def _digest(file: BinaryIO, head: dict[str, Any], start: int) -> str | None:
    digest = hashlib.sha256()
    for name in sorted(head):
        entry = head[name]
        if entry["dtype"] not in KINDS:
            return None
        digest.update(f"{name}torch.{KINDS[entry['dtype']]}{tuple(map(int, entry['shape']))}".encode())
        begin, end = map(int, entry["data_offsets"])
        file.seek(start + begin)
        digest.update(file.read(end - begin))
    return digest.hexdigest()
