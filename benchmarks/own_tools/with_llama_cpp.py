"""Quantize a GGUF file with llama.cpp itself (MIT), through llama-cpp-python, and read losses by its own forward.

FOLDER holds model-F32.gguf and texts.npz; the files of the types come beside them, and losses.llama_cpp.npz. A type is
read twice: as it runs, which rounds activations to eight bits, and after llama.cpp has turned it back into floats.
"""

import ctypes
import sys
from pathlib import Path

import llama_cpp
import numpy as np
from common import losses, texts, written

FULL = llama_cpp.LLAMA_FTYPE_ALL_F32
TYPES = {name: getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}") for name in ("Q8_0", "Q4_K_M", "IQ4_XS", "Q2_K")}


def quantized(given: Path, path: Path, kind: int) -> Path:
    """Write what `llama_model_quantize` makes of a file to `path`, and return it."""
    words = llama_cpp.llama_model_quantize_default_params()
    words.ftype, words.nthread, words.allow_requantize = kind, 1, True
    failed = llama_cpp.llama_model_quantize(str(given).encode(), str(path).encode(), ctypes.byref(words))
    if failed:
        raise SystemExit(f"llama_model_quantize returned {failed} for {path.name}")
    return path


def read(path: Path, tokens: np.ndarray) -> np.ndarray:
    """Return the losses of texts, with keys and values in single precision."""
    single = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "n_threads_batch": 1}
    model = llama_cpp.Llama(str(path), n_ctx=64, n_threads=1, logits_all=True, verbose=False, **single)

    def logits(text: np.ndarray) -> np.ndarray:
        model.reset()
        model.eval(text.tolist())
        return model.scores[: len(text)]

    return losses(tokens, logits)


def main(folder: Path) -> None:
    """Make the files of all types, and read all."""
    full, tokens = folder / "model-F32.gguf", texts(folder)
    found = {"F32": read(full, tokens), "F32.single": read(full, tokens)}
    for name, kind in TYPES.items():
        path = quantized(full, folder / f"model-{name}.gguf", kind)
        back = quantized(path, folder / f"back-{name}.gguf", FULL)
        found |= {name: read(path, tokens), f"{name}.single": read(back, tokens)}
    written(folder, "llama_cpp", f"llama-cpp-python {llama_cpp.__version__}", found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
