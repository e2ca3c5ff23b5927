"""Write layers by AutoAWQ (MIT) in its three packings. Only gemm is turned back by it on a processor without a GPU.

The others are written by its own code from the same codes, zero points and scales.
"""

import sys
import types
from importlib.metadata import version

import torch
from common import folder_of, normal, written
from safetensors.torch import save_file

sys.modules.update({name: types.ModuleType(name) for name in ("awq", "awq.modules", "awq.modules.linear", "awq.utils")})
for name in ("awq", "awq.modules", "awq.modules.linear", "awq.utils"):  # its __init__ needs models and a GPU
    place = next(path for path in sys.path if path.endswith("site-packages"))
    sys.modules[name].__path__ = [f"{place}/{name.replace('.', '/')}"]
module = types.ModuleType("awq.utils.module")
module.try_import = lambda name: (None, "")
sys.modules["awq.utils.module"] = module

from awq.modules.linear.gemv import WQLinear_GEMV  # noqa: E402
from awq.modules.linear.gemv_fast import WQLinear_GEMVFast  # noqa: E402
from awq.utils.packing_utils import dequantize_gemm  # noqa: E402

ROWS, COLUMNS, SIZE = 32, 256, 64
ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def parts() -> tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]:
    """Return a layer whose weights are on the grid of its scales and zero points, [outputs, groups], and these."""
    weight = torch.from_numpy(normal(1, ROWS, COLUMNS)).unflatten(1, (-1, SIZE))
    low, high = weight.amin(2).clamp(max=0), weight.amax(2).clamp(min=0)
    scale = ((high - low) / 15).half().float()
    zero = (-low / scale).round().clamp(0, 15)
    codes = (weight / scale[..., None]).round() + zero[..., None]
    layer = torch.nn.Linear(COLUMNS, ROWS, bias=False)
    layer.weight.data = ((codes.clamp(0, 15) - zero[..., None]) * scale[..., None]).flatten(1)
    return layer, scale, zero


def packed(codes: torch.Tensor) -> torch.Tensor:
    """Return codes, [rows, outputs], as WQLinear_GEMM packs them."""
    words = torch.zeros(len(codes), codes.shape[1] // 8, dtype=torch.int32)
    for place, output in enumerate(ORDER):
        words |= codes[:, output::8].int() << 4 * place
    return words


def main() -> None:
    """Write a layer in each packing."""
    layer, scale, zero = parts()
    words = {"quant_method": "awq", "bits": 4, "group_size": SIZE, "zero_point": True}
    tool = f"autoawq {version('autoawq')}"
    whole = layer.weight.data.unflatten(1, (-1, SIZE)) / scale[..., None] + zero[..., None]
    codes = whole.round().flatten(1)
    gemm = {"qweight": packed(codes.T), "qzeros": packed(zero.T), "scales": scale.T.contiguous().half()}
    back = dequantize_gemm(gemm["qweight"], gemm["qzeros"], gemm["scales"].float(), 4, SIZE).T
    made = {"gemm": gemm}
    for name, kind in (("gemv", WQLinear_GEMV), ("gemv_fast", WQLinear_GEMVFast)):
        one = kind.from_linear(layer, 4, SIZE, scales=scale, zeros=zero)
        made[name] = {key: value for key, value in one.state_dict().items() if key != "bias"}
    product = -(scale * zero).half().float()  # gemv_fast keeps it in half precision
    fast = (codes.unflatten(1, (-1, SIZE)) * scale[..., None] + product[..., None]).flatten(1)
    expected = {"gemm": back, "gemv": layer.weight.data, "gemv_fast": fast}
    for name, tensors in made.items():
        folder = folder_of(f"awq-{name}")
        save_file({f"0.{key}": value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors")
        written(folder, tool, {"0": expected[name].numpy()}, {"quantization_config": words | {"version": name}})


if __name__ == "__main__":
    main()
