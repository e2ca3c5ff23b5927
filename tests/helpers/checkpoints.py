"""Small checkpoints in the layouts of other tools, packed here by hand, code by code."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def draws(seed: int = 0, rows: int = 16, columns: int = 32, size: int = 8, bits: int = 4) -> dict[str, np.ndarray]:
    """Return unsigned codes [outputs, inputs], zero points and scales [outputs, groups]."""
    stream = np.random.default_rng(seed)
    groups = -(-columns // size)
    return {
        "codes": stream.integers(0, 2**bits, (rows, columns)),
        "zero": stream.integers(1, 2**bits, (rows, groups)),
        "scale": stream.uniform(0.01, 0.1, (rows, groups)).astype(np.float32),
    }


def weight_of(parts: dict[str, np.ndarray], size: int = 8) -> np.ndarray:
    """Return (code - zero point) * scale, one weight after the other."""
    groups = np.arange(parts["codes"].shape[1]) // size
    return (parts["codes"] - parts["zero"][:, groups]) * parts["scale"][:, groups]


def words(rows: np.ndarray, bits: int = 4) -> torch.Tensor:
    """Return each row of codes in 32-bit words, the first code in the lowest bits."""
    per = 32 // bits
    packed = np.zeros((len(rows), -(-rows.shape[1] // per)), np.uint32)
    for column in range(rows.shape[1]):
        packed[:, column // per] |= (rows[:, column].astype(np.uint32) & (2**bits - 1)) << bits * (column % per)
    return torch.from_numpy(packed.view(np.int32))


def awq_words(rows: np.ndarray) -> torch.Tensor:
    """Return [rows, outputs] codes in words of eight outputs, in AutoAWQ's order."""
    packed = np.zeros((len(rows), rows.shape[1] // 8), np.uint32)
    for word in range(packed.shape[1]):
        for place, output in enumerate(AWQ_ORDER):
            packed[:, word] |= rows[:, 8 * word + output].astype(np.uint32) << 4 * place
    return torch.from_numpy(packed.view(np.int32))


def gptq(parts: dict[str, np.ndarray], less: int = 1, bits: int = 4) -> dict[str, torch.Tensor]:
    """Return the tensors of a GPTQ layer "0", whose zero points are packed less `less`."""
    return {
        "0.qweight": words(parts["codes"], bits).T.contiguous(),
        "0.qzeros": words((parts["zero"].T - less) % 2**bits, bits),
        "0.scales": torch.from_numpy(parts["scale"].T.copy()),
    }


def awq(parts: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the tensors of an AWQ layer "0"."""
    return {
        "0.qweight": awq_words(parts["codes"].T),
        "0.qzeros": awq_words(parts["zero"].T),
        "0.scales": torch.from_numpy(parts["scale"].T.copy()),
    }


def compressed(parts: dict[str, np.ndarray], packed_zeros: bool) -> dict[str, torch.Tensor]:
    """Return the tensors of a pack-quantized layer "0", its zero points packed or, as once, in signed bytes."""
    zeros = (
        words(parts["zero"].T).T.contiguous() if packed_zeros else torch.from_numpy(parts["zero"] - 8).to(torch.int8)
    )
    return {
        "0.weight_packed": words(parts["codes"]),
        "0.weight_scale": torch.from_numpy(parts["scale"]),
        "0.weight_shape": torch.tensor(parts["codes"].shape),
        "0.weight_zero_point": zeros,
    }


def bitsandbytes(storage: torch.dtype = torch.uint8) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Return the tensors of an NF4 layer "0" kept as numbers of `storage`, and its weights [8, 32]."""
    stream = np.random.default_rng(1)
    codes, book = stream.integers(0, 16, 256), np.sort(stream.normal(size=16)).astype(np.float32)
    absmax = stream.uniform(0.5, 1, 4).astype(np.float32)
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [8, 32]}
    tensors = {
        "0.weight": torch.from_numpy((codes[::2] << 4 | codes[1::2]).astype(np.uint8)).view(storage)[:, None].clone(),
        "0.weight.absmax": torch.from_numpy(absmax),
        "0.weight.quant_map": torch.from_numpy(book),
        "0.weight.quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8),
    }
    return tensors, (book[codes] * absmax[np.arange(256) // 64]).reshape(8, 32)


def written(folder: Path, tensors: dict[str, torch.Tensor], configuration: dict[str, object] | None = None) -> Path:
    """Write a checkpoint and the config.json beside it; return the file of weights."""
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").unlink(missing_ok=True)
    if configuration is not None:
        (folder / "config.json").write_text(json.dumps({"quantization_config": configuration}))
    return folder / "model.safetensors"


def fp8(strategy: str) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Return the tensors of an FP8 layer "0", [16, 40], and its weights by NumPy's own table of such numbers."""
    import ml_dtypes

    stream = np.random.default_rng(7)
    shapes = {"tensor": (1,), "channel": (16, 1), "group": (16, 5), "block": (2, 5)}
    bits = stream.integers(0, 127, (16, 40)).astype(np.uint8) | (stream.integers(0, 2, (16, 40)) << 7).astype(np.uint8)
    scale = stream.uniform(0.1, 1, shapes[strategy]).astype(np.float32)
    whole = {"tensor": lambda: scale, "channel": lambda: scale, "group": lambda: scale.repeat(8, 1)}
    spread = whole.get(strategy, lambda: scale.repeat(8, 0).repeat(8, 1))()
    tensors = {"0.weight": torch.from_numpy(bits).view(torch.float8_e4m3fn), "0.weight_scale": torch.from_numpy(scale)}
    return tensors, bits.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * spread


def four(scale: torch.Tensor, spread: np.ndarray) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    import ml_dtypes

    codes = np.random.default_rng(8).integers(0, 16, spread.shape).astype(np.uint8)
    packed = torch.from_numpy(codes[:, ::2] | codes[:, 1::2] << 4)
    tensors = {"0.weight_packed": packed, "0.weight_scale": scale}
    return tensors, codes.view(ml_dtypes.float4_e2m1fn).astype(np.float32) * spread


def nvfp4() -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Return the tensors of an NVFP4 layer "0", [16, 64], and its weights by NumPy's own table of such numbers."""
    scale = torch.from_numpy(np.random.default_rng(9).uniform(1, 200, (16, 4)).astype(np.float32))
    coarse = scale.to(torch.float8_e4m3fn)
    tensors, weight = four(coarse, coarse.float().numpy().repeat(16, 1) / np.float32(37.5))
    return tensors | {"0.weight_global_scale": torch.tensor([37.5])}, weight


def mxfp4() -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """Return the tensors of an MXFP4 layer "0", [16, 64], and its weights by NumPy's own table of such numbers."""
    exponents = np.random.default_rng(10).integers(120, 130, (16, 2)).astype(np.uint8)
    return four(torch.from_numpy(exponents), (2.0 ** (exponents.astype(np.float32) - 127)).repeat(32, 1))
