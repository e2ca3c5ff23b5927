"""ggml, the library of llama.cpp that llama-cpp-python brings: it writes the formats that the package gguf only reads.

Source: ggml-org/llama.cpp, ggml/include/ggml.h, `ggml_quantize_chunk`; no importance matrix is given.
"""

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from quantmis.errors import require
from quantmis.quantizers.extras.adapter import require_library
from quantmis.quantizers.formats.ggml import LAYOUTS
from quantmis.quantizers.formats.gguf import KINDS

FORMATS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
EXTRA, PACKAGE = "llama-cpp", "llama_cpp"
TYPES = {kind: number for number, kind in KINDS.items()}


def encoded(name: str, rows: Float32[np.ndarray, "rows columns"], kind: str) -> UInt8[np.ndarray, "rows bytes"]:
    """Return the bytes of `rows` in the format `kind`, whose blocks divide the columns.

    `name` is what users call the quantizer. Raises `UserError` where llama-cpp-python is missing or has another format
    of that name.
    """
    require_library(name, PACKAGE, EXTRA)
    layout, own = LAYOUTS[kind], library()
    content = np.zeros((len(rows), rows.shape[1] // layout.weights * layout.size), np.uint8)
    size = own.ggml_row_size(TYPES[kind], rows.shape[1])
    require(
        size == content.shape[1], f"{name}: a row of {kind} takes {size} bytes in {PACKAGE}, here {content.shape[1]}"
    )
    source = np.ascontiguousarray(rows)
    own.ggml_quantize_chunk(TYPES[kind], source.ctypes.data, content.ctypes.data, 0, *rows.shape, None)
    return content


@cache
def library() -> ctypes.CDLL:
    """Return the shared library of the package llama_cpp; `UserError` where the package holds none."""
    package = find_spec(PACKAGE)
    home = Path(str(package and package.origin)).parent / "lib"
    files = sorted(each for each in home.glob("*ggml-base*") if each.suffix in (".so", ".dylib", ".dll"))
    require(files, f"{PACKAGE} has no ggml-base in {home}", hint=f"pip install --force-reinstall 'quantmis[{EXTRA}]'")
    own = ctypes.CDLL(str(files[0]))
    whole, address = ctypes.c_int64, ctypes.c_void_p
    own.ggml_row_size.argtypes, own.ggml_row_size.restype = [ctypes.c_int, whole], ctypes.c_size_t
    own.ggml_quantize_chunk.argtypes = [ctypes.c_int, address, address, whole, whole, whole, address]
    own.ggml_quantize_chunk.restype = ctypes.c_size_t
    return own
