"""Claims about ReCaLL: the loss behind a prefix is that of the library, and stands over the loss of the text alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.attacks import ReCaLL
from quantmis.audit.config.building import samples_of
from quantmis.audit.config.sections import parsed
from quantmis.data.tokens import numbers
from quantmis.errors import UserError
from quantmis.models.rows import row
from quantmis.models.task import inputs
from quantmis.models.text_forms import MoreForms
from quantmis.models.texts import samples_of as made

TEXTS, PREFIX = sentences(24), sentences(60)[57:]


@pytest.mark.parametrize("capitals", [True, False])
def test_the_score_is_what_its_paper_defines(base: Path, capitals: bool):
    texts = TEXTS if capitals else [text.lower() for text in TEXTS]
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(texts), prefix=qm.Texts.of(PREFIX), reference=False)
    assert task.loss.named_signals(samples)[3:] == (("lowercase_ratio", "recall") if capitals else ("recall",))
    found = row(task.build(0), task.loss, inputs(samples), task.loss.targets(samples.y))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base).float().eval()
    before = tokenizer(" ".join(PREFIX))["input_ids"][:32]
    for place, text in enumerate(texts):
        own = tokenizer(text)["input_ids"]
        whole = torch.tensor([[*before, *own]])
        labels = whole.clone()
        labels[:, : len(before) + 1] = -100  # the first token of a text is never scored
        with torch.no_grad():
            behind = float(model(input_ids=whole, labels=labels).loss)
            alone = float(model(input_ids=torch.tensor([own]), labels=torch.tensor([own])).loss)
        assert whole.shape[1] <= 64
        assert found.named["recall"][place] == pytest.approx(behind / alone, rel=1e-5)
        assert found.losses[place] == pytest.approx(alone, rel=1e-5)


def test_the_prefix_changes_no_other_number(base: Path):
    task = qm.Task.causal_lm(base)
    without = task.samples(qm.Texts.of(TEXTS))
    behind = task.samples(qm.Texts.of(TEXTS), prefix=qm.Texts.of(PREFIX))
    np.testing.assert_array_equal(without.y, behind.y)
    rows = [row(task.build(0), task.loss, inputs(each), task.loss.targets(each.y)) for each in (without, behind)]
    for name, signal in rows[0].named.items():
        np.testing.assert_allclose(rows[1].named[name], signal, atol=1e-5)
    assert any(note.endswith("tokens of texts that the model never saw") for note in behind.notes)
    assert (numbers(behind.x[:, 2]) >= -1).all()


def test_the_token_of_the_beginning_is_read_once(base: Path):
    from tokenizers.processors import TemplateProcessing

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    begins = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.backend_tokenizer.post_processor = begins
    model = qm.Task.causal_lm(base).build(0)
    found = made(qm.Texts.of(TEXTS), tokenizer, model, more=MoreForms(qm.Texts.of(PREFIX))).x
    assert (found[:, 0, 0] == 0).all()
    assert [(numbers(each) == 0).sum() for each in found[:, 2]] == [1] * 24
    assert (found[:, 2] >= 0).sum() == (found[:, 0, 1:] >= 0).sum()


def test_a_table_without_the_signal_says_what_is_needed():
    table = qm.Evidence(np.array([[0.1, 2.0]]), np.array([[True, False]]))
    with pytest.raises(UserError, match="recall needs texts audited as causal-lm with a prefix"):
        ReCaLL().score(table)


def test_a_prefix_of_audited_texts_is_refused(base: Path):
    with pytest.raises(UserError, match="1 of its texts are among those that are audited"):
        qm.Task.causal_lm(base).samples(qm.Texts.of(TEXTS), prefix=qm.Texts.of([*PREFIX, TEXTS[3]]))


def test_an_audit_file_names_the_prefix(base: Path, tmp_path: Path):
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "a.txt").write_text("\n".join(TEXTS))
    (tmp_path / "p.txt").write_text("\n".join(PREFIX))
    content = 'kind = "causal-lm"\n[data]\ntexts = "a.txt"\nprefix = "{}"\n[model]\nfolder = "base"\n'
    found = samples_of(parsed(content.format("p.txt").encode(), tmp_path / "audit.toml"), tmp_path)
    assert found.x.shape[1] == 3
    with pytest.raises(UserError, match=r"data\.prefix: .*none\.txt"):
        samples_of(parsed(content.format("none.txt").encode(), tmp_path / "audit.toml"), tmp_path)


@pytest.mark.slow
def test_recall_tells_members_of_an_over_fitted_model(base: Path):
    from quantmis.models.training import Training, train

    task = qm.Task.causal_lm(base, recipe=qm.Recipe(epochs=25, learning_rate=5e-3, batch_size=16))
    texts = np.random.default_rng(0).permutation(sentences(160)).tolist()
    samples = task.samples(qm.Texts.of(texts[:150]), prefix=qm.Texts.of(texts[150:]), reference=False)
    member = np.arange(150)[None] < 75
    [model] = train(Training(task, samples, member, [0], seed=0, kind="loop"))
    found = row(model, task.loss, inputs(samples), task.loss.targets(samples.y)).named["recall"]
    auc = (found[:75, None] > found[None, 75:]).mean()
    assert auc > 0.6, auc
