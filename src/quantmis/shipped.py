"""The file that ships, held against the weights that were audited: by its bytes, and by the tensors in it.

Nothing is loaded: a safetensors file says in its head where each tensor's bytes are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from quantmis.errors import UserError
from quantmis.files import opened
from quantmis.tensor_files import BLOCK, Head, digest_of, entry, head_of

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
    head = head_of(path)
    with opened(path) as file:
        return _digest(file, head)


def _digest(file: BinaryIO, head: Head) -> str | None:
    digest = hashlib.sha256()
    for name, tensor in sorted(head.tensors.items()):
        if tensor.kind not in KINDS:
            return None
        digest.update(entry(name, f"torch.{KINDS[tensor.kind]}", tensor.shape, tensor.end - tensor.begin))
        file.seek(head.start + tensor.begin)
        for block in _blocks(file, tensor.end - tensor.begin):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (block := file.read(min(size, BLOCK))):
        size -= len(block)
        yield block
