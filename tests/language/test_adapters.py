"""Claims about adapters and checkpoints: what is audited is what runs, whatever peft or a Trainer wrote down."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save_base, sentences, transformers, with_template
from torch import nn

import quantmis as qm
from quantmis.audit.config.building import samples_of, target_of, tokenizer_of
from quantmis.audit.config.draft import draft
from quantmis.audit.config.sections import parsed, read
from quantmis.audit.target.target import Artefact, Target
from quantmis.errors import UserError
from quantmis.models.rows import row
from quantmis.models.task import inputs

KINDS: dict[str, dict[str, Any]] = {
    "lora": {"target_modules": ["q_proj", "v_proj"]},
    "rslora": {"target_modules": ["q_proj", "down_proj"], "use_rslora": True, "lora_alpha": 4},
    "dora": {"target_modules": ["q_proj", "up_proj"], "use_dora": True},
    "modules_to_save": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
    "norms": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "embeddings": {"target_modules": ["q_proj", "embed_tokens"]},
    "tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [3, 5, 8]},
}
"""Kinds of adapters as peft configures them."""


def model_in(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).float()


def adapter(base: Path, folder: Path, tokens: int | None = None, **asked: Any) -> nn.Module:
    """Save an adapter of `base` whose trained parts are random, and return the model with it, not merged."""
    import peft

    model = model_in(base)
    if tokens is not None:
        model.resize_token_embeddings(tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, **asked))
        torch.manual_seed(1)
        for weight in adapted.parameters():
            if weight.requires_grad:
                nn.init.normal_(weight, std=0.2)
        adapted.save_pretrained(folder)
    return adapted.eval()


def losses_of(model: nn.Module, samples: qm.Samples) -> list[float]:
    """Return the mean loss of each text by the library's own forward."""
    own = samples.x if samples.x.ndim == 2 else samples.x[:, 0]
    found = list[float]()
    for tokens in own:
        kept = torch.from_numpy(tokens[tokens >= 0]).long()[None]
        with torch.no_grad():
            found.append(float(model(input_ids=kept, labels=kept).loss))
    return found


def audited(task: qm.Task, weights: Path, samples: qm.Samples) -> list[float]:
    module = Target(weights, range(20), range(20, 40)).module(task)
    return row(module, task.loss, inputs(samples), task.loss.targets(samples.y)).losses.tolist()


@pytest.fixture(scope="module")
def samples(base: Path) -> qm.Samples:
    return qm.Task.causal_lm(base).samples(qm.Texts.of(sentences(40)), reference=False)


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_adapter_is_audited_to_the_number_that_it_has_unmerged(
    base: Path, samples: qm.Samples, tmp_path: Path, kind: str
):
    adapted = adapter(base, tmp_path / "adapter", **KINDS[kind])
    task = qm.Task.causal_lm(base)
    ours = audited(task, tmp_path / "adapter", samples)
    assert ours == pytest.approx(losses_of(adapted, samples), abs=1e-4)
    merged: Any = adapted.merge_and_unload()  # pyright: ignore[reportCallIssue]
    if kind != "modules_to_save":  # peft leaves the configuration of tied embeddings as it was
        merged.save_pretrained(tmp_path / "merged")
        assert audited(task, tmp_path / "merged", samples) == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("kind", ["lora", "modules_to_save"])
def test_embeddings_of_another_size_come_with_the_adapter(base: Path, samples: qm.Samples, tmp_path: Path, kind: str):
    size = len(transformers.AutoTokenizer.from_pretrained(base)) + 7
    adapted = adapter(base, tmp_path / "adapter", size, **KINDS[kind])
    ours = audited(qm.Task.causal_lm(base), tmp_path / "adapter", samples)
    assert ours == pytest.approx(losses_of(adapted, samples), abs=1e-4)


def test_what_an_adapter_leaves_out_is_said(base: Path, tmp_path: Path):
    size = len(transformers.AutoTokenizer.from_pretrained(base)) + 7
    adapter(base, tmp_path / "adapter", size, **KINDS["embeddings"])
    with pytest.raises(UserError, match=f"embeddings of {size} tokens for input alone") as refused:
        audited_target(base, tmp_path / "adapter")
    assert "save the base as it was resized" in str(refused.value.hint)
    adapter(base, tmp_path / "bias", target_modules=["o_proj"], lora_bias=True)
    with pytest.raises(UserError, match="the base layer has no bias"):
        audited_target(base, tmp_path / "bias")


def test_versions_of_an_adapter_with_trained_embeddings_are_those_of_the_merged_model(
    base: Path, samples: qm.Samples, tmp_path: Path
):
    adapted: Any = adapter(base, tmp_path / "adapter", **KINDS["modules_to_save"])
    target = qm.Target(tmp_path / "adapter", range(20), range(20, 40), confounded="report")
    asked = {"target": target, "quantizers": ["uniform(bits=8)"], "progress": False, "out": tmp_path / "out"}
    result = qm.audit(qm.Task.causal_lm(base), samples, **asked)
    table = qm.Evidence.from_table(tmp_path / "out/tables/target/identity.npz")
    theirs = losses_of(adapted.merge_and_unload(), samples)
    assert table.losses[0].tolist() == pytest.approx(theirs, abs=1e-4)
    assert set(result.versions) == {"identity", "uniform(bits=8)"}


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path):
    other = save_base(tmp_path / "other")
    weights = model_in(other)
    nn.init.normal_(weights.lm_head.weight)
    weights.save_pretrained(other)
    adapter(other, tmp_path / "adapter", **KINDS["lora"])
    with pytest.raises(UserError, match=r"is an adapter of the model in .*other, and that is not the one in .*base"):
        audited_target(base, tmp_path / "adapter")
    shutil.rmtree(other)
    audited_target(base, tmp_path / "adapter")  # nobody can say what it was trained on


def audited_target(base: Path, weights: Path) -> nn.Module:
    return Target(weights, range(20), range(20, 40)).module(qm.Task.causal_lm(base))


def test_an_adapter_of_other_layers_or_shapes_is_refused(base: Path, tmp_path: Path):
    for name, change in (("deeper", {"num_hidden_layers": 3}), ("wider", {"hidden_size": 64})):
        config = transformers.AutoConfig.from_pretrained(base)
        for key, value in change.items():
            setattr(config, key, value)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / name)
        adapter(tmp_path / name, tmp_path / f"{name}-adapter", **KINDS["lora"])
        shutil.rmtree(tmp_path / name)
    with pytest.raises(UserError, match="is an adapter of another model: 4 of its parts find no place"):
        audited_target(base, tmp_path / "deeper-adapter")
    with pytest.raises(UserError, match="cannot read the adapter"):
        audited_target(base, tmp_path / "wider-adapter")


def test_an_adapter_that_lacks_a_part_is_refused(base: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    adapter(base, tmp_path / "adapter", **KINDS["lora"])
    saved = load_file(tmp_path / "adapter/adapter_model.safetensors")
    saved.pop(next(name for name in saved if "lora_B" in name))
    save_file(saved, tmp_path / "adapter/adapter_model.safetensors")
    with pytest.raises(UserError, match="1 of its parts find no place"):
        audited_target(base, tmp_path / "adapter")


def test_an_adapter_that_is_no_part_of_the_weights_is_refused(base: Path, tmp_path: Path):
    import peft

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
        peft.get_peft_model(model_in(base), config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(UserError, match="cannot be merged into"):
        audited_target(base, tmp_path / "adapter")


def four_bits(base: Path, double: bool) -> Any:
    kind = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32}
    config = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_use_double_quant=double, **kind)
    return transformers.AutoModelForCausalLM.from_pretrained(base, quantization_config=config, dtype=torch.float32)


@pytest.mark.parametrize("double", [False, True])
def test_an_adapter_on_four_bits_is_audited_as_it_runs(base: Path, samples: qm.Samples, tmp_path: Path, double: bool):
    import peft

    pytest.importorskip("bitsandbytes")
    adapter(base, tmp_path / "adapter", **KINDS["rslora"])
    with warnings.catch_warnings():  # of other libraries, about themselves
        warnings.simplefilter("ignore")
        quantized = four_bits(base, double)
        quantized.save_pretrained(tmp_path / "4bit")
        theirs = losses_of(peft.PeftModel.from_pretrained(quantized, str(tmp_path / "adapter")).eval(), samples)
    bases: list[str | Path] = [
        tmp_path / "4bit",
        *([] if double else ["bitsandbytes.linear4bit", "normal_float(bits=4)"]),
    ]
    task = qm.Task.causal_lm(base)
    for each in bases:
        target = Target(Artefact(tmp_path / "adapter", base=each), range(20), range(20, 40))
        module = target.module(task)
        ours = row(module, task.loss, inputs(samples), task.loss.targets(samples.y)).losses
        close = 1e-4 if "normal" not in str(each) else 0.2
        assert ours.tolist() == pytest.approx(theirs, abs=close)
    merged = audited(task, tmp_path / "adapter", samples)
    assert merged != pytest.approx(theirs, abs=1e-3)


def test_a_quantized_base_goes_with_an_adapter_and_needs_no_data(trained: Path):
    task = qm.Task.causal_lm(trained / "base")
    for path, base, message in (
        ("base", "normal_float(bits=4)", "goes with an adapter"),
        ("out", "gptq(bits=4)", "depend on more than the weights"),
        ("out", "normal_flaot(bits=4)", "unknown quantizer 'normal_flaot'"),
    ):
        with pytest.raises(UserError, match=message):
            Target(Artefact(trained / path, base=base), range(20), range(20, 40)).module(task)


def test_the_audit_file_says_what_the_base_runs_as(trained: Path):
    rows = [{"text": text, "split": ("train", "test")[place % 2]} for place, text in enumerate(sentences(60))]
    (trained / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (trained / "4bit").mkdir()
    for base, expected in (("normal_float(bits=4)", "normal_float(bits=4)"), ("4bit", trained / "4bit")):
        content = AUDIT.format(weights="out").replace("[target]", f'[target]\nbase = "{base}"')
        file = parsed(content.encode(), trained / "audit.toml")
        found = samples_of(file, trained)
        target = target_of(file, found, trained)
        assert target is not None
        assert isinstance(target.weights, Artefact)
        assert target.weights.base == expected
    with pytest.raises(UserError, match="unknown quantizer 'bit4'"):
        target_of(parsed(content.replace('"4bit"', '"bit4"').encode(), trained / "audit.toml"), found, trained)


@pytest.fixture
def trained(base: Path, tmp_path: Path) -> Path:
    """What a Trainer leaves behind: checkpoints of an adapter, with the tokenizer and its own pickles."""
    shutil.copytree(base, tmp_path / "base")
    for step in (9, 10):
        folder = tmp_path / f"out/checkpoint-{step}"
        adapter(base, folder, **KINDS["lora" if step == 9 else "rslora"])
        transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
        torch.save({}, folder / "optimizer.pt")
        torch.save({}, folder / "training_args.bin")
    with_template(tmp_path / "out/checkpoint-10")
    return tmp_path


AUDIT = """
kind = "causal-lm"
[data]
texts = "a.jsonl"
[model]
folder = "base"
[target]
weights = "{weights}"
column = "split"
members = "train"
non_members = "test"
"""


def test_of_what_a_trainer_wrote_the_last_checkpoint_is_audited_or_the_one_that_is_named(
    trained: Path, samples: qm.Samples
):
    task = qm.Task.causal_lm(trained / "base")
    last = audited(task, trained / "out", samples)
    assert last == audited(task, trained / "out/checkpoint-10", samples)
    assert last != audited(task, trained / "out/checkpoint-9", samples)
    model_in(trained / "base").save_pretrained(trained / "out")
    assert audited(task, trained / "out", samples) == audited(task, trained / "base", samples)


def test_the_report_names_the_checkpoint_and_texts_are_read_by_its_tokenizer(trained: Path):
    chats = [[{"role": "user", "content": a}, {"role": "assistant", "content": "yes"}] for a in sentences(60)]
    rows = [{"messages": chat, "split": ("train", "test")[place % 2]} for place, chat in enumerate(chats)]
    (trained / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = parsed(AUDIT.format(weights="out").encode(), trained / "audit.toml")
    found = samples_of(file, trained)
    target = target_of(file, found, trained)
    assert target is not None
    assert target.name == "out, checkpoint-10"
    assert len(found) == 60
    named = parsed(AUDIT.format(weights="out/checkpoint-9").encode(), trained / "audit.toml")
    with pytest.raises(UserError, match="the tokenizer has no chat template"):
        samples_of(named, trained)
    assert tokenizer_of(trained / "none") is None


def test_init_finds_what_a_trainer_wrote(trained: Path):
    for name in ("train.txt", "test.txt"):
        (trained / name).write_text("a\n")
    file = read(draft(trained, "audit.toml", lambda _, choices: choices[0]))
    assert file.target is not None
    assert (file.model.folder, file.target.weights) == ("base", "out")
