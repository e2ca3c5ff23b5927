"""Claims about the losses and signals of texts: against the library and plain NumPy, whatever the batch."""

import functools
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import save_base, sentences, transformers

import quantmis as qm
from quantmis.errors import UserError
from quantmis.models.language import windows
from quantmis.models.rows import forward, row
from quantmis.models.task import inputs
from quantmis.models.training import Training, train


def task(folder: Path, **recipe: object) -> qm.Task:
    return qm.Task.causal_lm(folder, recipe=qm.Recipe(**{"epochs": 2, "learning_rate": 3e-3, **recipe}))


def texts(number: int = 24) -> qm.Texts:
    return qm.Texts.of(sentences(number))


@functools.cache
def library_model(folder: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def logits_of(folder: Path, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return library_model(folder)(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0].double().numpy()


def expected(folder: Path, tokens: np.ndarray) -> dict[str, float]:
    """Loss, Min-K% and Min-K%++ of one text by their definitions, in double precision."""
    logits = logits_of(folder, tokens)[:-1]
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    own = log_p[np.arange(len(logits)), tokens[1:]]
    mean = (np.exp(log_p) * log_p).sum(1)
    deviation = np.sqrt((np.exp(log_p) * (log_p - mean[:, None]) ** 2).sum(1))
    count = max(1, int(0.2 * len(own)))
    lowest = (np.sort(own)[:count].mean(), np.sort((own - mean) / deviation)[:count].mean())
    return {"loss": -own.mean(), "min_k": lowest[0], "min_k_plus_plus": lowest[1]}


@pytest.mark.parametrize("kind", ["base", "gpt2"])
def test_every_signal_is_what_its_paper_defines(kind: str, request: pytest.FixtureRequest):
    folder: Path = request.getfixturevalue(kind)
    made, given = task(folder), texts(20)
    samples = made.samples(given)
    found = row(made.build(0), made.loss, inputs(samples), made.loss.targets(samples.y))
    for number, text in enumerate(given.texts):
        own, lower = (each[each >= 0] for each in samples.x[number])
        truth, lowered = expected(folder, own), expected(folder, lower)
        assert found.losses[number] == pytest.approx(truth["loss"], rel=1e-5)
        assert found.named["min_k"][number] == pytest.approx(truth["min_k"], rel=1e-5)
        assert found.named["min_k_plus_plus"][number] == pytest.approx(truth["min_k_plus_plus"], rel=1e-3, abs=1e-4)
        zipped = len(zlib.compress(text.encode()))
        assert found.named["zlib_ratio"][number] == pytest.approx(-truth["loss"] / zipped, rel=1e-5)
        assert found.named["lowercase_ratio"][number] == pytest.approx(-truth["loss"] / lowered["loss"], rel=1e-5)
        assert found.named["reference_difference"][number] == pytest.approx(0.0, abs=1e-5)


def test_batching_and_filling_never_change_a_number(base: Path):
    made = task(base)
    samples, module = made.samples(texts(48)), made.build(0)
    x = inputs(samples)
    together = forward(module, x)
    for most in (1, 40):
        module.tokens_at_once = most
        torch.testing.assert_close(forward(module, x), together, atol=1e-5, rtol=1e-5)
    wider = torch.nn.functional.pad(x, (0, 9), value=-1)
    torch.testing.assert_close(forward(module, wider), together, atol=1e-5, rtol=1e-5)


def test_a_long_text_is_read_in_windows_that_predict_each_token_once(tmp_path: Path):
    made = task(save_base(tmp_path / "short", context=8))
    samples = made.samples(qm.Texts.of([" ".join(sentences(1, seed)) for seed in range(24)]))
    found = row(made.build(0), made.loss, inputs(samples), made.loss.targets(samples.y))
    tokens = samples.x[0, 0][samples.x[0, 0] >= 0]
    parts = [tokens[start : start + 8] for start in range(0, len(tokens) - 1, 7)]
    losses = [expected(tmp_path / "short", part)["loss"] * (len(part) - 1) for part in parts]
    assert len(parts) > 1
    assert found.losses[0] == pytest.approx(sum(losses) / (len(tokens) - 1), rel=1e-5)
    assert samples.y[0, 0] == len(tokens) - 1


def test_windows_overlap_by_one_token():
    assert windows(torch.arange(5)[None], 5).tolist() == [[[0, 1, 2, 3, 4]]]
    assert windows(torch.arange(5)[None], 3).tolist() == [[[0, 1, 2], [2, 3, 4]]]


def test_a_reference_is_the_model_before_fine_tuning(base: Path):
    made = task(base)
    samples = made.samples(texts())
    member = np.zeros((1, len(samples)), dtype=bool)
    member[:, ::2] = True
    [tuned] = train(Training(made, samples, member, [0], seed=0, kind="loop"))
    found = row(tuned, made.loss, inputs(samples), made.loss.targets(samples.y))
    before = row(made.build(0), made.loss, inputs(samples), made.loss.targets(samples.y))
    np.testing.assert_allclose(found.named["reference_difference"], before.losses - found.losses, atol=1e-5)
    assert "reference_difference" not in made.loss.named_signals(made.samples(texts(), reference=False))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [None, 2])
def test_together_and_one_by_one_train_the_same_models(base: Path, rank: int | None):
    made = task(base, lora_rank=rank)
    samples = made.samples(texts())
    member = np.arange(len(samples)) % 2 == np.arange(2)[:, None]
    trained = [train(Training(made, samples, member, [0, 1], seed=0, kind=kind)) for kind in ("stacked", "loop")]
    for one, other in zip(*trained, strict=True):
        torch.testing.assert_close(forward(one, inputs(samples)), forward(other, inputs(samples)), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_private_adapters_are_trained_text_by_text_and_nothing_else_is(base: Path):
    made = task(base, lora_rank=2, max_steps=3, batch_size=4, dp=qm.DP(noise_multiplier=0.5, delta=0.01))
    samples = made.samples(texts())
    member = np.arange(len(samples)) % 2 == np.arange(2)[:, None]
    together, alone = (
        train(Training(made, samples, member, [0, 1], seed=0, kind=kind)) for kind in ("stacked", "loop")
    )
    for one, other in zip(together, alone, strict=True):
        for (name, value), expected in zip(one.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-3, msg=name)
    assert {name.partition("lora_")[1] for name, each in together[0].named_parameters() if each.requires_grad} == {
        "lora_"
    }
    (one, other) = (dict(module.named_parameters()) for module in together)
    assert any(not torch.equal(one[name], other[name]) for name in one if "lora_" in name)
    assert all(torch.equal(one[name], other[name]) for name in one if "lora_" not in name)


def test_lora_changes_linear_layers_by_its_rank_and_is_merged(base: Path):
    made = task(base, lora_rank=2, epochs=4)
    samples = made.samples(texts())
    [tuned] = train(Training(made, samples, np.ones((1, len(samples)), dtype=bool), [0], seed=0, kind="loop"))
    before, after = made.build(0).state_dict(), made.merge_adapters(tuned).state_dict()
    assert list(before) == list(after)
    changed = {
        name: torch.linalg.matrix_rank(after[name] - before[name], atol=1e-5) for name in before if "proj" in name
    }
    assert {int(rank) for rank in changed.values()} == {2}
    assert all(torch.equal(before[name], after[name]) for name in before if "proj" not in name)


def test_the_objective_is_that_of_the_library(base: Path):
    made = task(base)
    samples, module = made.samples(qm.Texts.of([text.lower() for text in sentences(20)])), made.build(0).train()
    y = made.loss.targets(samples.y)
    ours = made.objective(module(inputs(samples)), y)
    labels = torch.from_numpy(samples.x.astype(np.int64)).masked_fill(inputs(samples) < 0, -100)
    tokens = labels.clamp(min=0)
    theirs = library_model(base)(input_ids=tokens, labels=labels).loss
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0.0)


def test_texts_without_capitals_are_read_once(base: Path):
    samples = task(base).samples(qm.Texts.of([text.lower() for text in sentences(20)]))
    assert samples.x.ndim == 2
    assert "lowercase_ratio" not in task(base).loss.named_signals(samples)


def test_short_texts_are_left_out_and_long_ones_cut(base: Path):
    short = qm.Texts.of(["x", *sentences(24)])
    samples = task(base).samples(short, longest=6)
    assert len(samples) == 24
    assert samples.x.shape[-1] == 6
    assert samples.notes[0] == "1 texts of less than two tokens left out"
    assert "read up to their token 6" in samples.notes[1]


def test_what_is_no_language_model_is_refused(base: Path, tmp_path: Path):
    without = shutil.copytree(base, tmp_path / "without")
    (without / "tokenizer.json").unlink()
    (without / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match="holds no tokenizer") as refused:
        task(without).samples(texts())
    assert refused.value.hint == "save it beside the model: tokenizer.save_pretrained(folder)"
    with pytest.raises(
        UserError, match=r"the tokenizer makes token .* and the model has embeddings of 0 to 49"
    ) as refused:
        qm.Task.causal_lm(base, config={"vocab_size": 50}, pretrained=False).samples(texts())
    assert "must belong together" in str(refused.value.hint)
    with pytest.raises(UserError, match="no text has two tokens"):
        task(base).samples(qm.Texts.of(["x"] * 20))
    with pytest.raises(UserError, match="lora_rank is for causal language models"):
        qm.Task(lambda: torch.nn.Linear(2, 2), recipe=qm.Recipe(lora_rank=2))
    with pytest.raises(UserError, match="samples of texts need a causal language model"):
        qm.Task(lambda: torch.nn.Linear(2, 2)).samples(texts())
