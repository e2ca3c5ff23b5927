"""Claims about what is tried on language models, and about texts and classifiers of text that are read as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import save_base, sentences, transformers

import quantmis as qm
from quantmis.data import Samples
from quantmis.data.texts import Texts
from quantmis.errors import UserError
from quantmis.models import Task
from quantmis.models.hugging_face import HuggingFace
from quantmis.models.language import context_of
from quantmis.models.probes import require_causal, require_sound
from quantmis.models.rows import forward

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 40}
SIZES = SMALL | {"max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
NO_DROPOUT = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
CAUSAL: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 1},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, **NO_DROPOUT},
    "bert": {"is_decoder": True},
    "roberta": {"is_decoder": True, "max_position_embeddings": 40},
}
BLIND_TO_NOTHING = ("bert", "electra", "roberta")


def causal(kind: str, **changes: Any) -> Task:
    config = SIZES | CAUSAL.get(kind, {}) | changes
    known = {*transformers.AutoConfig.for_model(kind).to_dict(), *transformers.AutoConfig.for_model(kind).attribute_map}
    return Task.causal_lm(config={"model_type": kind} | {name: each for name, each in config.items() if name in known})


def texts(number: int = 8, longest: int = 20) -> torch.Tensor:
    """Texts of 3 to `longest` tokens, filled up with -1."""
    draw = np.random.default_rng(0)
    table = np.full((number, longest), -1)
    for row in table:
        length = draw.integers(3, longest + 1)
        row[:length] = draw.integers(3, 40, length)
    return torch.from_numpy(table)


@pytest.mark.parametrize("kind", BLIND_TO_NOTHING)
def test_a_model_that_sees_the_future_is_refused(kind: str):
    task = causal(kind, is_decoder=False)
    with pytest.raises(UserError, match="no causal language model: a later token changes") as refused:
        require_causal("the model", task.build(0), texts())
    assert "is_decoder" in str(refused.value.hint)


def test_a_model_that_looks_ahead_within_a_stretch_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Attention within blocks of four tokens, as of a prefix or of blocks: the last token may stand in one alone."""
    module = causal("llama").build(0)
    own = transformers.models.llama.modeling_llama.create_causal_mask

    def in_blocks(*arguments: Any, **words: Any) -> torch.Tensor:
        length = words["inputs_embeds"].shape[1]
        block = torch.arange(length) // 4
        seen = (block[:, None] == block) | torch.ones(length, length).tril().bool()
        return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]

    text = torch.arange(3, 16)[None]  # thirteen: the last has a block of its own
    require_causal("the model", module, text)
    monkeypatch.setattr(transformers.models.llama.modeling_llama, "create_causal_mask", in_blocks)
    assert own is not in_blocks
    with pytest.raises(UserError, match="a later token changes"):
        require_causal("the model", module, text)


def test_a_causal_model_passes_also_where_texts_are_longer_than_its_context():
    require_causal("the model", causal("llama").build(0), texts(longest=100))
    require_causal("the model", causal("gpt2").build(0), texts(longest=100))


def test_a_context_without_end_may_be_written_as_minus_one():
    xlnet = transformers.AutoConfig.for_model("xlnet")
    assert xlnet.max_position_embeddings == -1
    assert context_of(xlnet) is None
    config = {"model_type": "xlnet", "vocab_size": 40, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32}
    with pytest.raises(UserError, match="no causal language model"):
        require_causal("XLNet", Task.causal_lm(config=config).build(0), texts())


@pytest.fixture(scope="module", params=[("bos_token", "eos_token"), ("cls_token", "sep_token")], ids=["bos", "cls"])
def beginning(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A model whose tokenizer puts a token before each text and another behind it, by either of their names."""
    from tokenizers import processors

    folder = save_base(tmp_path_factory.mktemp("language") / "beginning")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokenizer.eos_token = None
    tokenizer.add_special_tokens(dict(zip(request.param, ("<BOS>", "<END>"), strict=True)))
    numbers = tokenizer.convert_tokens_to_ids(["<BOS>", "<END>"])
    template = processors.TemplateProcessing(
        single="<BOS> $A <END>", special_tokens=list(zip(("<BOS>", "<END>"), numbers, strict=True))
    )
    tokenizer.backend_tokenizer.post_processor = template
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    return folder


def test_a_text_that_brings_its_beginning_and_end_has_each_once(beginning: Path):
    """Token by token what the tokenizer makes without adding any, in lower case too."""
    task, tokenizer = Task.causal_lm(beginning), transformers.AutoTokenizer.from_pretrained(beginning)
    plain = sentences(30)
    own = [f"<BOS>{text}<END>" for text in plain]
    found = task.samples(Texts.of(own), reference=False)
    expected = task.samples(Texts.of(plain), reference=False)
    assert found.x.tolist() == expected.x.tolist()
    for row, text in zip(found.x[:, 0], own, strict=True):
        assert row[row >= 0].tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "30 texts bring the token of their beginning or end with them: it is read once" in found.notes
    assert not any("bring the token" in note for note in expected.notes)


def test_a_text_without_its_own_beginning_is_read_as_ever(beginning: Path):
    task, tokenizer = Task.causal_lm(beginning), transformers.AutoTokenizer.from_pretrained(beginning)
    mixed = [f"{text} <BOS> {text}" for text in sentences(30)]
    for row, text in zip(task.samples(Texts.of(mixed), reference=False).x[:, 0], mixed, strict=True):
        assert row[row >= 0].tolist() == tokenizer(text)["input_ids"]


CLASSIFIERS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 40, "bos_token_id": 1, "eos_token_id": 1}
    | NO_DROPOUT,
    "llama": {**SMALL, "num_key_value_heads": 1, "pad_token_id": None},
    "bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2, "vocab_size": 40, "pad_token_id": None},
}


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_classifier_without_a_padding_token_reads_the_last_token_whichever_it_is(kind: str):
    """Also a text that ends in token 0, against the library's own answer to each text by itself."""
    make = HuggingFace("sequence-classification", config=CLASSIFIERS[kind] | {"model_type": kind, "num_labels": 3})
    module, draw = Task(make).build(0).eval(), np.random.default_rng(0)
    assert module.config.pad_token_id is None
    rows = [[*draw.integers(2, 40, draw.integers(1, 9)).tolist(), *([0] * (number % 3))] for number in range(24)]
    samples = Samples(rows, np.arange(24) % 3)
    plain = type(module)(module.config).eval()
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        expected = torch.cat([plain(input_ids=torch.tensor([row])).logits for row in rows])
    torch.testing.assert_close(forward(module, torch.from_numpy(samples.x)), expected, atol=1e-5, rtol=0)
    assert module.config.pad_token_id is None, "the configuration is as it was"
    require_sound("the model", module, Task(make), torch.from_numpy(samples.x[:8]))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_such_classifiers_are_trained_together_as_one_by_one(kind: str):
    from quantmis.models.engine import choose_engine

    make = HuggingFace("sequence-classification", config=CLASSIFIERS[kind] | {"model_type": kind, "num_labels": 3})
    rows = [[number % 40, *([0] * (number % 4))] for number in range(40)]
    task = Task(make, recipe=qm.Recipe(epochs=1, optimizer="sgd"))
    chosen = choose_engine(task, Samples(rows, np.arange(40) % 3), 4)
    assert chosen.reasons == {}
