"""Claims about models of transformers: tiny ones with random weights, saved to disk; no network."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quantmis.data import Samples
from quantmis.errors import UserError
from quantmis.models import Recipe, Task
from quantmis.models.engine import choose_engine
from quantmis.models.hub import reachable
from quantmis.models.hugging_face import HuggingFace, trained_in
from quantmis.models.rows import forward
from quantmis.models.training import Training, train
from quantmis.models.weights import read_weights, with_weights
from quantmis.quantizers import Uniform

os.environ["HF_HUB_OFFLINE"] = "1"

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TEXT: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL,
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "llama": SMALL | {"num_key_value_heads": 1},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
    | dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0),
}
TEXT = {kind: config | {"model_type": kind, "vocab_size": 40, "num_labels": 3} for kind, config in TEXT.items()}
IMAGE: dict[str, dict[str, Any]] = {
    "vit": SMALL | {"image_size": 8, "patch_size": 4},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
}
IMAGE |= {
    "dinov2": {key: value for key, value in IMAGE["vit"].items() if key != "intermediate_size"},
    "swin": {"embed_dim": 8, "depths": [1], "num_heads": [2], "image_size": 8, "patch_size": 2, "window_size": 2},
}
IMAGE = {kind: config | {"model_type": kind, "num_labels": 3} for kind, config in IMAGE.items()}


def sentences(number: int = 40, longest: int = 12) -> Samples:
    """Sequences of 1 to `longest` tokens; the class is the first token modulo 3."""
    draw = np.random.default_rng(0)
    rows = [draw.integers(2, 40, size=draw.integers(1, longest + 1)).tolist() for _ in range(number)]
    return Samples(rows, np.array([row[0] % 3 for row in rows]))


def text(kind: str) -> HuggingFace:
    return HuggingFace("sequence-classification", config=TEXT[kind])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Task(text("bert")).build(0).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("kind", TEXT)
def test_padding_and_batching_never_change_a_number(kind: str):
    samples, module = sentences(), Task(text(kind)).build(0)
    x = torch.from_numpy(samples.x)
    module.samples_at_once = 16
    together = forward(module, x)
    module.samples_at_once = 1
    torch.testing.assert_close(forward(module, x), together, atol=1e-5, rtol=0)
    wider = torch.cat([x, torch.full((len(x), 5), -1)], dim=1)
    torch.testing.assert_close(forward(module, wider), together, atol=1e-5, rtol=0)
    changed = x.clone()
    changed[0, 0] = (changed[0, 0] + 1) % 40
    assert (forward(module, changed)[0] - together[0]).abs().max() > 1e-5


@pytest.mark.parametrize("kind", TEXT)
def test_the_logits_are_those_of_the_library(kind: str):
    samples, module = sentences(), Task(text(kind)).build(0).eval()
    own = [row[row >= 0] for row in torch.from_numpy(samples.x)]
    found = forward(module, torch.from_numpy(samples.x))
    plain = type(module)(module.config).eval()
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        expected = torch.cat([plain(input_ids=tokens[None]).logits for tokens in own])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", IMAGE)
def test_images_are_classified(kind: str):
    module = Task(HuggingFace("image-classification", config=IMAGE[kind])).build(0)
    assert forward(module, torch.rand(5, 3, 8, 8)).shape == (5, 3)


def test_the_same_seed_makes_the_same_model_and_another_seed_another():
    first, again, other = (Task(text("bert")).build(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_saved_model_starts_from_its_weights_or_afresh(saved: Path):
    weights = Task(text("bert")).build(0).state_dict()
    tuned = Task(HuggingFace("sequence-classification", saved)).build(1).state_dict()
    assert tuned.keys() == weights.keys()
    assert all(torch.equal(tuned[name], weights[name]) for name in weights)
    fresh = Task(HuggingFace("sequence-classification", saved, pretrained=False)).build(1).state_dict()
    assert not torch.equal(fresh["classifier.weight"], weights["classifier.weight"])


SAVED = {kind: ("sequence-classification", config) for kind, config in TEXT.items()}
SAVED |= {kind: ("image-classification", config) for kind, config in IMAGE.items()}
SAVED |= {"gpt2, causal-lm": ("causal-lm", {key: value for key, value in TEXT["gpt2"].items() if key != "num_labels"})}


@pytest.mark.parametrize(("head", "config"), SAVED.values(), ids=SAVED)
@pytest.mark.parametrize("how", ["file", "folder", "shards"])
def test_what_save_pretrained_writes_is_read_as_the_trained_model(
    tmp_path: Path, head: str, config: dict[str, Any], how: str
):
    """Also where the library saves under other names than the module has."""
    maker = HuggingFace(head, config=config)
    model = Task(maker, "causal_lm" if head == "causal-lm" else "cross_entropy").build(3)
    model.save_pretrained(tmp_path, max_shard_size="4kB" if how == "shards" else "1GB")
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (how == "shards")
    if how == "file":
        found = with_weights(maker(), read_weights(tmp_path / "model.safetensors"), "model.safetensors")
    else:
        found = trained_in(maker, tmp_path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, atol=0, rtol=0)


def test_a_folder_without_the_head_is_no_trained_model(tmp_path: Path):
    Task(text("bert")).build(0).bert.save_pretrained(tmp_path)
    with pytest.raises(
        UserError, match=r"does not hold the whole model: classifier\.bias is missing; classifier\.weight"
    ):
        trained_in(text("bert"), tmp_path)
    with pytest.raises(UserError, match=r"does not fit the model: classifier\.weight is missing"):
        with_weights(text("bert")(), read_weights(tmp_path / "model.safetensors"), "the file")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch):
    def nobody(*address: object, **options: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("socket.create_connection", nobody)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert not reachable()
    with pytest.raises(UserError, match="cannot get the model nobody/no-such-model"):
        Task(HuggingFace("sequence-classification", hub="nobody/no-such-model")).build(0)


def test_a_head_of_another_size_is_new_and_depends_on_the_seed(saved: Path):
    maker = HuggingFace("sequence-classification", saved, config={"num_labels": 5})
    first, other = (Task(maker).build(seed).state_dict() for seed in (1, 2))
    assert first["classifier.weight"].shape == (5, 16)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(first[name], other[name])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "engine"), [("llama", "stacked"), ("gpt2", "stacked"), ("bert", "loop")])
def test_models_are_stacked_where_vmap_takes_them_and_trained_one_by_one_with_the_reason_where_not(
    kind: str, engine: str
):
    task = Task(text(kind), recipe=Recipe(epochs=1, batch_size=10))
    chosen = choose_engine(task, sentences(), 4)
    assert ("stacked" in chosen.reasons) == (engine == "loop")
    if engine == "loop":
        assert "vmap" in chosen.reasons["stacked"]
    member = np.tile(np.arange(40) % 2 == np.arange(2)[:, None], (1, 1))
    trained = {each: train(Training(task, sentences(), member, range(2), 0, each)) for each in {engine, "loop"}}
    x = torch.from_numpy(sentences().x)
    for first, second in zip(trained[engine], trained["loop"], strict=True):
        torch.testing.assert_close(forward(first, x), forward(second, x), atol=2e-3, rtol=0)


def test_training_learns_and_quantized_models_still_take_sequences():
    task = Task(text("llama"), recipe=Recipe(epochs=60, learning_rate=1e-2, batch_size=20))
    samples = sentences()
    [module] = train(Training(task, samples, np.ones((1, 40), dtype=bool), range(1), 0, "loop"))
    quantized = Uniform(bits=8).quantize(module).model
    right = forward(quantized, torch.from_numpy(samples.x)).argmax(1).numpy() == samples.y
    assert right.mean() > 0.9


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ({"head": "token-classification"}, "unknown head 'token-classification'", "sequence-classification"),
        ({}, "say which model", "model_type"),
        ({"hub": "a/b", "folder": Path("x")}, "give either folder or hub", ""),
        ({"config": {"model_type": "bertt"}}, "unknown model_type 'bertt'", "did you mean 'bert'"),
        ({"config": {"model_type": "bert", "hiden_size": 8}}, "bert has no 'hiden_size'", "'hidden_size'"),
        ({"config": {"model_type": "vit"}}, "cannot make the model vit: ValueError", ""),
        ({"config": {"model_type": "bert", "hidden_size": 7, "num_attention_heads": 2}}, "not a multiple", ""),
        ({"config": {"model_type": "bert"}, "pretrained": True}, "a configuration alone has no weights", ""),
        ({"hub": "nobody/no-such-model"}, "cannot get the model nobody/no-such-model", "hf download nobody"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_model_that_cannot_be_made_is_told_why(keys: dict[str, Any], message: str, hint: str):
    with pytest.raises(UserError) as refused:
        Task(HuggingFace(**{"head": "sequence-classification"} | keys)).build(0)
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


def test_a_folder_without_a_model_or_weights_is_refused(saved: Path):
    with pytest.raises(UserError, match=r"holds no config\.json"):
        HuggingFace("sequence-classification", saved.parent)
    (saved / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no weights in safetensors"):
        HuggingFace("sequence-classification", saved, pretrained=True)
    assert Task(HuggingFace("sequence-classification", saved)).build(0) is not None


def test_weights_that_are_a_pickle_are_refused_and_nothing_runs(saved: Path):
    class Trap:
        def __reduce__(self):
            return Path(saved / "sprung").touch, ()

    (saved / "model.safetensors").unlink()
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin may be a pickle.* it was not opened"):
        HuggingFace("sequence-classification", saved)
    assert not (saved / "sprung").exists()


def test_weights_cut_short_are_refused(saved: Path):
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[:500])
    with pytest.raises(UserError, match="cannot make the model"):
        Task(HuggingFace("sequence-classification", saved)).build(0)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(UserError, match="needs transformers") as refused:
        Task(text("bert")).build(0)
    assert refused.value.hint == "pip install 'quantmis[hf]'"
