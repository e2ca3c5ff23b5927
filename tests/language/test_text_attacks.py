"""Claims about Con-ReCaLL, DC-PDD and neighbourhood: each score is what its paper defines, by transformers alone."""

import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.attacks import ATTACKS
from quantmis.audit.config.building import samples_of
from quantmis.audit.config.sections import parsed
from quantmis.data.forms import MEMBER_PREFIXED, NEIGHBOURS, PREFIXED, SURPRISE, own
from quantmis.data.tokens import PADDING, as_context, numbers
from quantmis.errors import UserError
from quantmis.models.language import showing_logits
from quantmis.models.neighbours import neighbours_of
from quantmis.models.rows import row
from quantmis.models.task import inputs

EVERY = sentences(80)
TEXTS, PREFIX, TRAINED, CORPUS = EVERY[:24], EVERY[30:33], EVERY[40:43], EVERY[50:]


def beside(**keys: Any) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else qm.Texts.of(value) for name, value in keys.items()}


def scores(base: Path, reference: bool = False, **keys: Any) -> tuple[qm.Samples, dict[str, np.ndarray]]:
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(TEXTS), reference=reference, **beside(**keys))
    computed = row(task.build(0), task.loss, inputs(samples), task.loss.targets(samples.y))
    return samples, {**computed.named, "loss": computed.losses}


class Oracle:
    """Score texts one at a time by transformers' own forward."""

    def __init__(self, base: Path):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(base).float().eval()

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def log_p(self, tokens: list[int]) -> np.ndarray:
        whole = torch.tensor([tokens])
        with torch.no_grad():
            log_p = self.model(input_ids=whole).logits[0, :-1].double().log_softmax(-1)
        return log_p.gather(1, whole[0, 1:, None])[:, 0].numpy()

    def loss(self, tokens: list[int], after: int = 0) -> float:
        return -float(self.log_p(tokens)[after:].mean())


def test_con_recall_is_what_its_paper_defines(base: Path):
    samples, found = scores(base, prefix=PREFIX, member_prefix=TRAINED)
    assert qm.Task.causal_lm(base).loss.named_signals(samples)[-2:] == ("recall", "con_recall")
    oracle = Oracle(base)
    never, trained = (oracle.tokens(" ".join(each))[:32] for each in (PREFIX, TRAINED))
    for place, text in enumerate(TEXTS):
        tokens = oracle.tokens(text)
        alone, after_never, after_trained = (
            oracle.loss([*before, *tokens], len(before)) for before in ([], never, trained)
        )
        assert found["con_recall"][place] == pytest.approx((after_never - 0.5 * after_trained) / alone, rel=1e-5)
        assert found["recall"][place] == pytest.approx(after_never / alone, rel=1e-5)


def test_dc_pdd_is_what_its_paper_defines(base: Path):
    _, found = scores(base, corpus=CORPUS)
    oracle = Oracle(base)
    counts = Counter(token for text in CORPUS for token in oracle.tokens(text))
    total = sum(counts.values()) + oracle.model.config.vocab_size
    for place, text in enumerate(TEXTS):
        tokens = oracle.tokens(text)
        first = {token: at for at, token in reversed(list(enumerate(tokens))) if at}
        log_p = oracle.log_p(tokens)
        each = [math.exp(log_p[at - 1]) * math.log(total / (counts[token] + 1)) for token, at in first.items()]
        assert found["dc_pdd"][place] == pytest.approx(np.mean([min(value, 0.01) for value in each]), rel=1e-4)


def test_dc_pdd_of_a_text_longer_than_the_context_counts_each_token_once(base: Path):
    task = qm.Task.causal_lm(base)
    long = [" ".join(EVERY[place : place + 12]) for place in range(24)]
    samples = task.samples(qm.Texts.of(long), reference=False, corpus=qm.Texts.of(sentences(9, words=("of", "the"))))
    assert own(samples.x).shape[1] > 64
    module = task.build(0)
    found = row(module, task.loss, inputs(samples), task.loss.targets(samples.y)).named["dc_pdd"]
    text = own(samples.x)[3]
    windows = [text[start : start + 64] for start in range(0, len(text) - 1, 63)]
    oracle = Oracle(base)
    log_p = np.concatenate([oracle.log_p(each[each >= 0].tolist()) for each in windows if (each >= 0).sum() > 1])
    surprise = samples.x[3, SURPRISE, 1 : len(log_p) + 1] / 2**20
    each = np.minimum(np.exp(log_p) * surprise, 0.01)[surprise > 0]
    assert found[3] == pytest.approx(each.mean(), rel=1e-4)
    assert len(each) == len(set(text[text >= 0][1:].tolist()))


@pytest.mark.parametrize("reference", [True, False])
def test_neighbourhood_is_the_loss_above_that_of_copies(base: Path, reference: bool):
    samples, found = scores(base, reference, neighbours=3)
    oracle = Oracle(base)
    copies = samples.x[:, NEIGHBOURS:]
    assert copies.shape[1] == 3
    for place, text in enumerate(TEXTS):
        tokens = oracle.tokens(text)
        rows = [each[each != PADDING].tolist() for each in copies[place]]
        assert all(len(each) == len(tokens) and each[0] == tokens[0] for each in rows)
        replaced = [sum(a != b for a, b in zip(each, tokens, strict=True)) for each in rows]
        assert replaced == [max(1, (len(tokens) - 1) // 10)] * 3
        expected = np.mean([oracle.loss(each) for each in rows]) - oracle.loss(tokens)
        assert found["neighbourhood"][place] == pytest.approx(expected, abs=1e-5)
    source = "the model before fine-tuning" if reference else "of all the texts"
    assert any(source in each and "3 forward passes more" in each for each in samples.notes)


def test_neighbours_are_drawn_from_what_the_model_expects(base: Path):
    oracle = Oracle(base)
    text = oracle.tokens(TEXTS[0])
    model: Any = qm.Task.causal_lm(base).build(0)
    with torch.no_grad():
        model.lm_head.weight[11:] *= 0
        model.lm_head.weight[:11] *= 200
        logits = oracle.model(input_ids=torch.tensor([text])).logits[0]
    assert logits.shape[1] > 11
    copies = neighbours_of([text], 200, model)[0]
    drawn = Counter(copy[3] for copy in copies if copy[3] != text[3])
    with torch.no_grad(), showing_logits(model):
        odds = model(torch.tensor([text]))[0, 2].softmax(-1)
    odds[text[3]] = 0
    assert drawn.most_common(1)[0][0] == int(odds.argmax())
    others = neighbours_of([text], 40, None)[0]
    assert {token for copy in others for token in copy} == set(text)
    assert neighbours_of([text, text[::-1]], 5, model)[0] == neighbours_of([text], 5, model)[0]


def test_tokens_that_are_context_are_not_replaced():
    text = [as_context(5), as_context(6), 7, 8]
    for copy in neighbours_of([text, [9, 10]], 20, None)[0]:
        assert copy[:2] == text[:2]
        assert sum(a != b for a, b in zip(copy, text, strict=True)) == 1


def test_further_forms_change_no_other_number(base: Path):
    _, alone = scores(base)
    samples, found = scores(base, prefix=PREFIX, member_prefix=TRAINED, corpus=CORPUS, neighbours=2)
    for name, signal in alone.items():
        np.testing.assert_allclose(found[name], signal, atol=1e-5)
    assert set(found) - set(alone) == {"recall", "con_recall", "dc_pdd", "neighbourhood"}
    assert samples.x.shape[1] == NEIGHBOURS + 2


def test_all_forms_at_once_are_the_forms_one_by_one(base: Path):
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(TEXTS), reference=False, **beside(prefix=PREFIX, corpus=CORPUS, neighbours=2))
    model = task.build(0).eval()
    with torch.no_grad():
        at_once = model(inputs(samples))
    found = task.loss.named(at_once, task.loss.targets(samples.y))
    named = row(model, task.loss, inputs(samples), task.loss.targets(samples.y)).named
    assert set(found) == set(named)
    assert (samples.x[:, MEMBER_PREFIXED] == PADDING).all()
    for name, signal in named.items():
        np.testing.assert_allclose(found[name], signal, atol=1e-5)


def test_texts_are_not_filled_up_to_their_length_behind_a_prefix(base: Path):
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of([each.lower() for each in TEXTS]), reference=False, prefix=qm.Texts.of(PREFIX))
    model, read = task.build(0), list[int]()
    model.get_submodule("model").register_forward_pre_hook(
        lambda module, arguments, words: read.append(words["input_ids"].numel()), with_kwargs=True
    )
    row(model, task.loss, inputs(samples), task.loss.targets(samples.y))
    behind = numbers(samples.x[:, PREFIXED])
    assert len(read) == 2  # what is in lower case already is not read again
    assert sum(read) <= len(TEXTS) * ((own(samples.x) != PADDING).sum(1).max() + (behind != PADDING).sum(1).max())


@pytest.mark.parametrize("name", ["con_recall", "dc_pdd", "neighbourhood"])
def test_a_table_without_the_signal_says_what_is_needed(name: str):
    table = qm.Evidence(np.array([[0.1, 2.0]]), np.array([[True, False]]))
    with pytest.raises(UserError, match=f"{name} needs texts audited as causal-lm with"):
        ATTACKS.parse(name).score(table)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"member_prefix": TRAINED}, "con_recall compares it with texts that the model never saw"),
        ({"prefix": PREFIX, "member_prefix": [*TRAINED, PREFIX[1]]}, "member_prefix: 1 of its texts are in prefix too"),
        ({"prefix": PREFIX, "member_prefix": [*TRAINED, TEXTS[1]]}, "member_prefix: 1 of its texts are among those"),
        ({"corpus": [*CORPUS, TEXTS[1], TEXTS[2]]}, "corpus: 2 of its texts are among those that are audited"),
        ({"neighbours": -1}, "neighbours: expected how many of each text, got -1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(base: Path, keys: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        qm.Task.causal_lm(base).samples(qm.Texts.of(TEXTS), reference=False, **beside(**keys))


def test_an_audit_file_names_them(base: Path, tmp_path: Path):
    shutil.copytree(base, tmp_path / "base")
    for name, texts in (("a", TEXTS), ("never", PREFIX), ("trained", TRAINED), ("corpus", CORPUS)):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts))
    content = (
        'kind = "causal-lm"\n[data]\ntexts = "a.txt"\nprefix = "never.txt"\nmember_prefix = "trained.txt"\n'
        'corpus = "corpus.txt"\nneighbours = 4\n[model]\nfolder = "base"\n'
    )
    samples = samples_of(parsed(content.encode(), tmp_path / "audit.toml"), tmp_path)
    assert samples.x.shape[1] == NEIGHBOURS + 4
    with pytest.raises(UserError, match=r"data\.corpus: .*none\.txt"):
        samples_of(parsed(content.replace("corpus.txt", "none.txt").encode(), tmp_path / "audit.toml"), tmp_path)


def test_random_texts_are_made_of_tokens_where_texts_come_in_many_forms(base: Path):
    from quantmis.data.canaries import with_random_texts

    samples, _ = scores(base, corpus=CORPUS, neighbours=2)
    planted = with_random_texts(samples, 2, np.random.default_rng(0)).samples
    assert int(numbers(own(planted.x)[len(samples) :]).max()) < 300


@pytest.mark.slow
def test_neighbourhood_tells_members_of_an_over_fitted_model(base: Path):
    from quantmis.models.training import Training, train

    task = qm.Task.causal_lm(base, recipe=qm.Recipe(epochs=25, learning_rate=5e-3, batch_size=16))
    texts = np.random.default_rng(0).permutation(sentences(180)).tolist()
    samples = task.samples(qm.Texts.of(texts[:150]), reference=False, neighbours=4)
    member = np.arange(150)[None] < 75
    [model] = train(Training(task, samples, member, [0], seed=0, kind="loop"))
    found = row(model, task.loss, inputs(samples), task.loss.targets(samples.y)).named
    auc = (found["neighbourhood"][:75, None] > found["neighbourhood"][None, 75:]).mean()
    assert auc > 0.6, auc
