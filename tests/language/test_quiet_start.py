"""Claims about starting: no library writes about itself, and none is imported that nobody asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = ("torchao", "bitsandbytes", "onnx", "onnxruntime", "hqq", "brevitas", "gguf", "peft", "transformers")
NATIVE = """
import sys
import torch
import quantmis as qm
samples = qm.Samples(torch.randn(80, 4), torch.randint(0, 2, (80,)))
task = qm.Task(lambda: torch.nn.Linear(4, 2))
target = qm.Target(torch.nn.Linear(4, 2), range(40), range(40, 80))
qm.audit(task, samples, target=target, quantizers=["uniform(bits=4)", "normal_float(bits=4)"], progress=False)
print(*sys.modules)
"""
LANGUAGE = """
import sys
import quantmis as qm
from quantmis.models import lora
task = qm.Task.causal_lm(sys.argv[1], recipe=qm.Recipe(lora_rank=2))
task.trainable_module(0)
samples = task.samples(qm.Texts.of([f"text {number} of some" for number in range(80)]))
print(len(samples), *sys.modules)
"""


def run(code: str, *arguments: str) -> tuple[str, str]:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_an_audit_with_quantizers_of_ours_imports_no_library_of_others():
    out, errors = run(NATIVE)
    assert errors == ""
    assert not set(out.split()) & set(LIBRARIES)


@pytest.mark.slow
def test_a_language_model_with_an_adapter_starts_without_a_word(base: Path):
    out, errors = run(LANGUAGE, str(base))
    assert out.startswith("80 ")
    assert errors == ""


def test_what_a_library_writes_is_only_kept_back_while_it_is_imported():
    code = "from quantmis.models.hugging_face import NOISY, quiet\nimport logging\nwith quiet():\n    pass\n"
    _, errors = run(code + "for name in NOISY:\n    logging.getLogger(name).error('heard %s', name)\n")
    assert [line.split()[-1] for line in errors.splitlines()] == [
        "huggingface_hub",
        "torchao",
        "torch.utils._pytree",
        "bitsandbytes",
    ]
