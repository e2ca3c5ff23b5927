"""What a file of weights looks like that is not read here: by its first bytes, or by the names of its tensors."""

from collections.abc import Iterable
from pathlib import Path

from quantmis.files import opened

HEAD = 64
NEAREST = {"CoreML": "litert", "ExecuTorch": "torchao", "llama.cpp": "gguf", "OpenVINO": "onnx", "NumPy": "safetensors"}
"""The nearest format that is read, by a word of what a file looks like."""

STARTS = (
    (0, b"version https://git-lfs", "a pointer of Git LFS, and not the file itself: git lfs pull fetches it"),
    (0, b"\x89HDF\r\n", "an HDF5 file, as Keras writes them"),
    (4, b"TFL3", "a LiteRT (TensorFlow Lite) file"),
    (4, b"ET1", "a program of ExecuTorch; torchao's safetensors are read"),
    (0, b"ggjt", "a file of llama.cpp from before GGUF: its converter makes GGUF of the original weights"),
    (0, b"tjgg", "a file of llama.cpp from before GGUF: its converter makes GGUF of the original weights"),
    (0, b"lmgg", "a file of llama.cpp from before GGUF: its converter makes GGUF of the original weights"),
    (0, b"\x93NUMPY", "a NumPy array; weights are read from safetensors"),
    (0, b"PK\x05\x06", "an empty archive"),
    (0, b"\x1f\x8b", "a compressed file: unpack it first"),
    (0, b"<?xml", "XML, as OpenVINO writes a network beside its .bin; an ONNX file of it is read"),
    (0, b"<!DOCTYPE", "a web page, perhaps in the place of a download"),
    (0, b"<html", "a web page, perhaps in the place of a download"),
    (0, b"{", "JSON; weights are read from safetensors"),
)
NAMES = (
    ((".trellis",), "EXL3 (exllamav3)", "exl2"),
    ((".codebooks", ".codes"), "AQLM", "gptq"),
    ((".Qidxs",), "QuIP#", "gptq"),
    ((".centroids", ".indices"), "VPTQ", "gptq"),
    ((".dense_weights", ".row_offsets"), "SpQR", "gptq"),
    ((".qweight", ".dqscales"), "FP-Quant", "mxfp4"),
    ((".scales", ".qbiases"), "Metal's kernels in transformers", "mlx"),
    ((".weight_sf",), "NVFP4 laid out for one accelerator", "modelopt"),
)
"""Names that tensors end with in formats that are not read, what the format is called, and the nearest that is."""


def look(path: Path) -> str:
    """Return what the first bytes of a file look like, or nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "model").write_bytes(b"    TFL3")
    ...     look(Path(folder, "model"))
    'a LiteRT (TensorFlow Lite) file'
    """
    with opened(path) as file:
        start = file.read(HEAD)
    return next((words for at, magic, words in STARTS if start[at : at + len(magic)] == magic), "")


def look_inside(folder: Path) -> str:
    """Return what a folder looks like whose weights are not read, or nothing."""
    is_core_ml = (folder / "Manifest.json").is_file() and (folder / "Data" / "com.apple.CoreML").is_dir()
    return "a package of CoreML (.mlpackage)" if is_core_ml else ""


def nearest_of(words: str) -> str:
    """Return the nearest format that is read, by what a file looks like; an empty text where there is none.

    >>> nearest_of("a program of ExecuTorch")
    'torchao'
    """
    return next((nearest for word, nearest in NEAREST.items() if word in words), "")


def quantized_as(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the format that is not read here whose tensors have such names, and the nearest that is; or None.

    >>> quantized_as(["fc.trellis", "fc.suh", "fc.svh"])
    ('EXL3 (exllamav3)', 'exl2')
    """
    own = list(names)
    return next(
        (
            (called, nearest)
            for ends, called, nearest in NAMES
            if all(any(name.endswith(end) for name in own) for end in ends)
        ),
        None,
    )
