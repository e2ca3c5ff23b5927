"""Write networks by NNCF and OpenVINO (both Apache-2.0); what OpenVINO makes of the identity matrix is a weight."""

import nncf
import numpy as np
import openvino
import torch
from common import folder_of, normal, written

MODES = {
    "int8_asym": {},
    "int8_sym": {},
    "int4_asym": {"group_size": 32, "all_layers": True},
    "int4_sym": {"group_size": 32, "all_layers": True},
}
EXACT = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_PRECISION_HINT": "f32"}


def main() -> None:
    """Write a layer with a bias in each mode."""
    model = torch.nn.Sequential(torch.nn.Linear(64, 16)).eval()
    model[0].weight.data, model[0].bias.data = torch.from_numpy(normal(1, 16, 64)), torch.from_numpy(normal(2, 16))
    for name, words in MODES.items():
        network = openvino.convert_model(model, example_input=torch.zeros(1, 64))
        small = nncf.compress_weights(network, mode=nncf.CompressWeightsMode(name), **words)
        folder = folder_of(f"openvino-{name}")
        openvino.save_model(small, folder / "model.xml", compress_to_fp16=False)
        own = openvino.Core().compile_model(folder / "model.xml", "CPU", EXACT)
        back = own([np.eye(64, dtype=np.float32)])[0] - normal(2, 16)
        written(folder, f"openvino {openvino.__version__.split('-')[0]}, nncf {nncf.__version__}", {"0": back.T})


if __name__ == "__main__":
    main()
