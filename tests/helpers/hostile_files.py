"""Small files that somebody made to do harm, written by code: what each is read by, and what it is."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

Make = Callable[[Path], Path]
DEEP, DIGITS = 100_000, 100_000


def file(name: str, content: bytes) -> Make:
    def make(home: Path) -> Path:
        (home / name).write_bytes(content)
        return home / name

    return make


def head(words: Any, data: bytes = b"", size: int | None = None) -> bytes:
    """Return a safetensors file with such a head, which claims to be `size` long."""
    text = words if isinstance(words, bytes) else json.dumps(words).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def entry(shape: list[Any], begin: float, end: float, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


ONE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
HEADS = {
    "tensors that overlap": head({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4)),
    "a gap": head({"a": entry([1], 4, 8)}, bytes(8)),
    "bytes of no tensor": head({"a": entry([1], 0, 4)}, bytes(8)),
    "a head of 4 EiB": head(b"{}", size=2**62),
    "a negative shape": head({"a": entry([-1], 0, 4)}, bytes(4)),
    "a shape of 2^80": head({"a": entry([2**40, 2**40], 0, 4)}, bytes(4)),
    "nothing times 2^62": head({"a": entry([0, 2**62], 0, 0)}),
    "a name twice": head(b"{" + ONE + b"," + ONE + b"}", bytes(4)),
    "brackets": head(b"[" * DEEP),
    "NaN": head(b'{"a":NaN}'),
    "a truth as a size": head({"a": entry([True], 0, 4)}, bytes(4)),
    "offsets with a point": head({"a": entry([1], 0.0, 4.0)}, bytes(4)),
    "a number of many digits": head(b'{"a":{"dtype":"F32","shape":[' + b"9" * DIGITS + b'],"data_offsets":[0,4]}}'),
    "notes that are no words": head({"__metadata__": {"a": 1}}),
    "a type that is none": head({"a": entry([1], 0, 4, "F33")}, bytes(4)),
    "a page of the web": b"<!DOCTYPE html><html>" + bytes(99),
    "nothing": b"",
}


def text(words: bytes) -> bytes:
    return struct.pack("<Q", len(words)) + words


def blocks(tensors: int, words: int, rest: bytes = b"") -> bytes:
    """Return a GGUF file that claims to hold so many tensors and words."""
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, words) + rest


TENSOR = text(b"t") + struct.pack("<IQIQ", 1, 1, 0, 0)
BLOCKS = {
    "2^60 tensors": blocks(2**60, 0),
    "2^60 words": blocks(0, 2**60),
    "an alignment of 0": blocks(0, 1, text(b"general.alignment") + struct.pack("<II", 4, 0)),
    "a negative alignment": blocks(0, 1, text(b"general.alignment") + struct.pack("<Ii", 5, -32)),
    "a list of 2^60": blocks(0, 1, text(b"a") + struct.pack("<IIQ", 9, 4, 2**60)),
    "a word of 2^63": blocks(0, 1, text(b"a") + struct.pack("<IQ", 8, 2**63)),
    "lists in lists": blocks(0, 1, text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000),
    "a billion dimensions": blocks(1, 0, text(b"t") + struct.pack("<I", 10**9)),
    "a shape of 2^80": blocks(1, 0, text(b"t") + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0)),
    "a name twice": blocks(2, 0, TENSOR * 2 + bytes(64)),
}


class Program:
    """Run a program where it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a program ran')",)


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_", "/"), content)
    return stream.getvalue()


def saved(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


PICKLES: dict[str, Callable[[], bytes]] = {
    "a program": lambda: saved({"a": Program()}),
    "10^10 numbers in one": lambda: saved({"a": torch.zeros(1).expand(10**10)}),
    "sparse": lambda: saved({"a": torch.eye(3).to_sparse()}),
    "complex": lambda: saved({"a": torch.zeros(2, dtype=torch.complex64)}),
    "quantized": lambda: saved({"a": torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8)}),
    "without numbers": lambda: saved({"a": torch.zeros(3, device="meta")}),
    "packed to a hundredth": lambda: archive(archive_data=bytes(10**7)),
    "a list": lambda: saved([torch.zeros(3)]),
}


def array(shape: tuple[int, ...], kind: str = "<f8", name: str = "losses") -> bytes:
    """Return an archive with an array that claims such a shape."""
    stream = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return archive(**{f"{name}.npy": stream.getvalue()})


ARRAYS = {
    "16 GiB": array((2**31,)),
    "2^80": array((2**40, 2**40)),
    "less than nothing": array((-1,)),
    "objects": array((1,), "|O"),
    "no archive": b"PK\x03\x04" + bytes(50),
}

TABLES = {
    "brackets": b"a = " + b"[" * DEEP,
    "a number of many digits": b"a = " + b"9" * DIGITS,
    "a key twice": b"a = 1\na = 2\n",
    "half of a letter": b'a = "\\ud800"',
    "a command to a log": b'"\\u001b[31m::error::x" = 1',
    "UTF-16": "[data]".encode("utf-16"),
    "two megabytes": b"#" * 2_000_000,
    "a zero byte": b"\0",
}

DOCUMENTS = {
    "brackets": b'{"schema_version": 2, "a": ' + b"[" * DEEP,
    "a number of many digits": b'{"schema_version": ' + b"9" * DIGITS + b"}",
    "a key twice": b'{"schema_version": 2, "schema_version": 2}',
    "infinity": b'{"schema_version": Infinity}',
    "a list": b"[]",
}


def adapter(**words: Any) -> Make:
    def make(home: Path) -> Path:
        (home / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **words}))
        save_file({"a": torch.zeros(2)}, home / "adapter_model.safetensors")
        return home

    return make


def folder(*files: tuple[str, bytes], weights: bool = True) -> Make:
    def make(home: Path) -> Path:
        for name, content in files:
            (home / name).write_bytes(content)
        if weights:
            save_file({"a": torch.zeros(2)}, home / "model.safetensors")
        return home

    return make


def piped(name: str) -> Make:
    def make(home: Path) -> Path:
        save_file({"a": torch.zeros(2)}, home / "model.safetensors")
        os.mkfifo(home / name)
        return home

    return make


INDEX = "model.safetensors.index.json"
FOLDERS: dict[str, Make] = {
    "an index that leaves": folder((INDEX, b'{"weight_map": {"a": "../elsewhere.safetensors"}}')),
    "an index of a list": folder((INDEX, b'{"weight_map": []}')),
    "an index that is a pipe": piped(INDEX),
    "an index in brackets": folder((INDEX, b"[" * DEEP)),
    "code of its own": folder(("config.json", b'{"auto_map": {"AutoModel": "evil.Model"}}')),
    "ten million layers": folder(("config.json", b'{"num_hidden_layers": 10000000}')),
    "kernels of somebody's": folder(("config.json", b'{"attn_implementation": "a/b"}')),
    "a configuration with NaN": folder(("config.json", b'{"hidden_size": NaN}')),
    "a configuration that is a list": folder(("config.json", b"[]")),
    "a pattern without end": adapter(target_modules="(a+)+$"),
    "a pattern of choices": adapter(target_modules="(a|ab)*c"),
    "an adapter in a pickle": lambda home: folder(("adapter_model.bin", b"\x80\x04."))(adapter()(home)),
}

PLACES: dict[str, Make] = {
    "a pipe": lambda home: [os.mkfifo(home / "pipe.csv"), home / "pipe.csv"][1] or home,
    "a device": lambda home: Path("/dev/zero"),
    "a link to itself": lambda home: [(home / "loop.csv").symlink_to("loop.csv"), home / "loop.csv"][1] or home,
    "what is not there": lambda home: home / "absent.csv",
    "a folder": lambda home: [(home / "folder.csv").mkdir(), home / "folder.csv"][1] or home,
}
