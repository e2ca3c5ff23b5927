"""Write a decoder by onnxruntime-genai's builder (MIT); what ONNX Runtime makes of the identity are its weights."""

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from common import folder_of, normal, written
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BUILDER = (sys.executable, "-m", "onnxruntime_genai.models.builder")
WORDS = 64
ROWS = {"q_proj": 32, "k_proj": 16, "v_proj": 16}


def original(folder: Path) -> None:
    """Save a small Llama of seeded weights, and a tokenizer of numbers."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, **sizes, **heads, **ids))
    for seed, value in enumerate(model.parameters()):
        value.data = torch.from_numpy(normal(seed, *value.shape))
    model.save_pretrained(folder)
    vocabulary = {str(number): number for number in range(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="0"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="0", eos_token="1").save_pretrained(folder)


def weights(path: Path) -> dict[str, np.ndarray]:
    """Return the weights of each product by ONNX Runtime, by the names of transformers."""
    graph = onnx.load(path).graph
    constants = {each.name: each for each in graph.initializer}
    back = dict[str, np.ndarray]()
    for node in (each for each in graph.node if each.op_type == "MatMulNBits"):
        words = {each.name: each.i for each in node.attribute} | {"accuracy_level": 0}
        names = [name for name in node.input[1:4] if name]
        alone = onnx.helper.make_node("MatMulNBits", ["x", *names], ["y"], domain="com.microsoft", **words)
        one, two = (onnx.helper.make_tensor_value_info(name, 1, None) for name in "xy")
        small = onnx.helper.make_graph([alone], "g", [one], [two], [constants[name] for name in names])
        domains = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
        model = onnx.helper.make_model(small, opset_imports=domains, ir_version=10)
        own = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        value = own.run(None, {"x": np.eye(words["K"], dtype=np.float32)})[0].T
        back |= apart(node.input[1].removesuffix(".MatMul.weight_Q4").replace(".attn.", ".self_attn."), value)
    return back


def apart(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """Return a weight, or the three that are joined in one."""
    if "qkv_proj" not in name:
        return {name: value}
    pieces = np.split(value, np.cumsum(list(ROWS.values()))[:-1])
    return {name.replace("qkv_proj", part): piece for part, piece in zip(ROWS, pieces, strict=True)}


def main() -> None:
    """Write the decoder in blocks of 32 of 4 bits."""
    folder = folder_of("onnxruntime-genai-int4")
    with tempfile.TemporaryDirectory() as place:
        original(Path(place) / "model")
        places = ["-i", f"{place}/model", "-o", f"{place}/out", "-c", f"{place}/cache"]
        subprocess.run([*BUILDER, *places, "-p", "int4", "-e", "cpu"], check=True)
        for name in ("model.onnx", "model.onnx.data", "genai_config.json"):
            shutil.copy(Path(place) / "out" / name, folder / name)
    written(folder, f"onnxruntime-genai {version('onnxruntime-genai')}", weights(folder / "model.onnx"))


if __name__ == "__main__":
    main()
