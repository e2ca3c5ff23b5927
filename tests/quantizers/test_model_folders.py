"""A folder of a model may not run code, leave itself, ask for kernels, or for more than its weights hold."""

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from quantmis.errors import UserError
from quantmis.model_folders import require_short_work, require_sound
from quantmis.quantizers.formats import read

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "vocab_size": 96,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "_attn_implementation": "sdpa",
    "max_position_embeddings": 131072,
}


def folder(path: Path, config: dict[str, object]) -> Path:
    save_file({str(index): torch.zeros(8) for index in range(20)}, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_a_sound_folder_passes(tmp_path: Path):
    require_sound(folder(tmp_path, CONFIG))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, "auto_map names code of the model's own"),
        ({"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "auto_map names code"),
        ({"attn_implementation": "kernels-community/evil"}, "attn_implementation = .* is not built in"),
        ({"_attn_implementation": "flash_attention_3"}, "_attn_implementation = .* is not built in"),
        ({"vision_config": {"_attn_implementation": "a/b"}}, "is not built in"),
        ({"attn_implementation": {"text_config": "a/b"}}, "is not built in"),
        ({"num_hidden_layers": 10**7}, "asks for 10000000 layers"),
        ({"text_config": {"n_layer": 10**7}}, "asks for 10000000 layers"),
        ({"hidden_size": 10**6}, "widths up to 1000000"),
        ({"vocab_size": 10**9}, "widths up to 1000000000"),
        ({"hidden_size": float("nan")}, "NaN is no number"),
    ],
)
def test_a_configuration_that_asks_for_more_is_refused(tmp_path: Path, words: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        require_sound(folder(tmp_path, CONFIG | words))
    with pytest.raises(UserError):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../elsewhere/w.safetensors", "/etc/passwd", "sub\\w.safetensors", "w.bin", ".."])
def test_an_index_that_leaves_its_folder_is_refused(tmp_path: Path, name: str):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "elsewhere").mkdir()
    save_file({"a": torch.zeros(2)}, tmp_path / "elsewhere" / "w.safetensors")
    folder(inside, CONFIG)
    (inside / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"0": "model.safetensors", "a": name}})
    )
    with pytest.raises(UserError, match=r"which lies outside|holds no such safetensors"):
        require_sound(inside)


def adapter(path: Path, **words: object) -> Path:
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **words}))
    save_file({"a": torch.zeros(2)}, path / "adapter_model.safetensors")
    return path


def test_an_adapter_in_a_pickle_is_refused(tmp_path: Path):
    require_sound(adapter(tmp_path, target_modules=["q_proj"]))
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match=r"read from adapter_model\.safetensors alone"):
        require_sound(tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"read from adapter_model\.safetensors alone"):
        require_sound(tmp_path)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+$", "(a|a)*(b*)*x", "(.*.*)*y", ".*a.*b.*c.*d.*e", r"(a)\1+", "x" * 600, "(", "(?:a{1,99}){1,99}"),
        *("(a|ab|b)*c", "(a?a?)*b", "a?" * 80 + "a" * 80, "(a|ab)" * 40 + "c", "(?=(a|ab)+)b"),
    ],
)
def test_a_pattern_that_may_take_forever_is_refused(tmp_path: Path, pattern: str):
    start = time.perf_counter()
    for words in ({"target_modules": pattern}, {"rank_pattern": {pattern: 4}}, {"exclude_modules": pattern}):
        with pytest.raises(UserError, match=r"may take forever|refers to a group|characters|no regular expression"):
            require_sound(adapter(tmp_path, **words))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "pattern", ["all-linear", r".*\.(q|k|v)_proj", r"model\.layers\.[0-9]+\.mlp\..*", "(?!.*vision).*proj"]
)
def test_a_plain_pattern_passes(pattern: str):
    require_short_work("target_modules", pattern)
