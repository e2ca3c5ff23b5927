"""Write layers by HQQ (Apache-2.0), and read them back by it."""

from importlib.metadata import version

import torch
from common import folder_of, normal, written
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear
from safetensors.torch import save_file

CASES = [(bits, 1, 64) for bits in (8, 4, 3, 2, 1)] + [(4, 0, 16), (3, 0, 16), (2, 0, 48), (1.58, 1, 64), (4, 1, 96)]


def main() -> None:
    """Write a layer of each number of bits, with groups along rows and down columns."""
    for bits, axis, size in CASES:
        linear = torch.nn.Linear(64, 48, bias=False)
        linear.weight.data = torch.from_numpy(normal(1, 48, 64))
        words = BaseQuantizeConfig(nbits=bits, group_size=size, axis=axis)
        layer = HQQLinear(linear, words, compute_dtype=torch.float32, device="cpu")
        folder = folder_of(f"hqq-{bits}-{'rows' if axis else 'columns'}-{size}")
        state = {f"0.{key}": value.contiguous() for key, value in layer.state_dict().items() if value is not None}
        save_file(state, folder / "model.safetensors")
        written(folder, f"hqq {version('hqq')}", {"0": layer.dequantize().detach().numpy()})


if __name__ == "__main__":
    main()
