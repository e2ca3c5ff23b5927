"""Write layers by MLX (MIT), whose build for processors runs on Linux, and read them back by it."""

from importlib.metadata import version

import mlx.core as mx
import numpy as np
from common import folder_of, normal, written

CASES = [("affine", bits, size) for bits, size in ((2, 64), (3, 32), (4, 64), (5, 64), (6, 128), (8, 32))]
CASES += [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]


def main() -> None:
    """Write a layer in each mode and number of bits."""
    weight = mx.array(normal(1, 16, 256))
    for mode, bits, size in CASES:
        parts = mx.quantize(weight, group_size=size, bits=bits, mode=mode)
        back = np.array(mx.dequantize(*parts, group_size=size, bits=bits, mode=mode).astype(mx.float32))
        names = ("0.weight", "0.scales", "0.biases")
        folder = folder_of(f"mlx-{mode}-{bits}")
        mx.save_safetensors(str(folder / "model.safetensors"), dict(zip(names, parts, strict=False)), {"format": "mlx"})
        words = {"group_size": size, "bits": bits, "mode": mode}
        written(folder, f"mlx {version('mlx')}", {"0": back}, {"quantization": words, "quantization_config": words})


if __name__ == "__main__":
    main()
