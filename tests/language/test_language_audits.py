"""Claims about audits of language models, from files and in Python: what is found, refused, shown and verified."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import sentences

import quantmis as qm
from quantmis.audit.config.running import audit_file
from quantmis.errors import UserError
from quantmis.measures.canary_exposure import CANARY_EXPOSURE
from quantmis.measures.perplexity import PERPLEXITY
from quantmis.models.extraction import extracted
from quantmis.models.training import Training, train
from quantmis.report import html
from quantmis.stats.average import average
from quantmis.stats.exposure import exposure_bits
from quantmis.verify import verify

pytestmark = pytest.mark.slow

RECIPE = qm.Recipe(epochs=25, learning_rate=5e-3, batch_size=16)
AS_IS = """
kind = "causal-lm"
[data]
texts = ["train.txt", "{others}"]
[model]
folder = "base"
[target]
weights = "{weights}"
members = "train.txt"
non_members = "{others}"
[audit]
quantizers = ["uniform(bits=8)", "normal_float(bits=4)", "ternary(sparsity=0.5)"]
"""


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model, a fine-tuned one, the texts it was trained on, others of that source and of another."""
    home = tmp_path_factory.mktemp("fine-tune")
    shutil.copytree(base, home / "base")
    texts = np.random.default_rng(0).permutation(sentences(240)).tolist()
    (home / "train.txt").write_text("\n".join(texts[:120]))
    (home / "test.txt").write_text("\n".join(texts[120:]))
    (home / "elsewhere.txt").write_text("\n".join(sentences(120, 1, ("ledger", "audit", "clause", "party", "herein"))))
    task = qm.Task.causal_lm(home / "base", recipe=RECIPE)
    samples = task.samples(home / "train.txt")
    member = np.ones((1, len(samples)), dtype=bool)
    [model] = train(Training(task, samples, member, [0], seed=0, kind="loop"))
    model.save_pretrained(home / "fine-tuned")
    return home


def written(folder: Path, name: str, others: str = "test.txt", weights: str = "fine-tuned") -> Path:
    path = folder / name
    path.write_text(AS_IS.format(others=others, weights=weights))
    return path


@pytest.fixture(scope="module")
def as_is(folder: Path) -> qm.AuditResult:
    return audit_file(written(folder, "audit.toml"), folder / "as-is", {})


def auc(result: qm.AuditResult, quantizer: str, attack: str) -> float:
    return result.versions[quantizer].attacks[attack].adaptive["auc"].value


def test_every_signal_finds_members_of_an_over_fitted_fine_tune(as_is: qm.AuditResult):
    signals = ("loss_threshold", "min_k", "min_k_plus_plus", "zlib_ratio", "lowercase_ratio", "reference_difference")
    assert as_is.document.config.attacks == list(signals)
    found = {signal: auc(as_is, "identity", signal) for signal in signals}
    assert min(found.values()) > 0.55, found
    assert found["reference_difference"] > 0.8


def test_fewer_bits_give_away_less(as_is: qm.AuditResult):
    order = ["uniform(bits=8)", "normal_float", "ternary(sparsity=0.5)"]
    found = [auc(as_is, name, "reference_difference") for name in order]
    assert found[0] > found[1] - 0.02 > found[2]


def test_perplexity_is_over_all_tokens_with_its_interval(as_is: qm.AuditResult, folder: Path):
    table = qm.Evidence.from_table(folder / "as-is/tables/target/identity.npz")
    with np.load(folder / "as-is/tables/target/identity.npz") as arrays:
        is_held_out, tokens = arrays["is_held_out"], arrays["weight"]
    truth = np.exp((table.losses[0] * tokens)[is_held_out].sum() / tokens[is_held_out].sum())
    perplexity = as_is.versions["identity"][PERPLEXITY]
    assert perplexity.value == pytest.approx(truth, rel=1e-5)
    assert perplexity.low < truth < perplexity.high
    assert as_is.versions["identity"].utility_metric == "log_likelihood"
    assert "min_k" in table.named


def test_the_report_tells_perplexity_and_no_log_likelihood(as_is: qm.AuditResult):
    page = html.render(as_is.document)
    assert "Perplexity, lower is better" in page
    assert "log likelihood" not in page
    assert "log_likelihood" not in page


def test_an_audit_of_texts_is_verified(as_is: qm.AuditResult, folder: Path):
    assert verify(folder / "as-is").edited == []


def test_members_of_another_source_are_refused_with_the_number(folder: Path):
    path = written(folder, "other.toml", others="elsewhere.txt")
    with pytest.raises(
        UserError, match=r"members can be told from non-members without the model: .* AUC of 1\.00"
    ) as no:
        audit_file(path, folder / "other", {})
    assert "draw both from one shuffled source" in str(no.value.hint)
    path.write_text(path.read_text().replace("[audit]", 'confounded = "report"\n[audit]'))
    blind = audit_file(path, folder / "other", {}).document.target.blind
    assert blind.differs


def test_the_blind_baseline_sees_nothing_in_one_shuffled_source(as_is: qm.AuditResult):
    blind = as_is.document.target.blind
    assert blind.auc.low <= 0.5 <= blind.auc.high


def test_texts_in_both_files_are_refused(folder: Path):
    text = (folder / "train.txt").read_text().splitlines()
    (folder / "both.txt").write_text("\n".join([text[3], *(folder / "test.txt").read_text().splitlines()]))
    with pytest.raises(UserError, match="1 members are among the non-members too"):
        audit_file(written(folder, "both.toml", others="both.txt"), folder / "both", {})


def test_a_lora_adapter_is_the_target_by_its_folder(folder: Path):
    import peft
    from tiny_models import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(folder / "base")
    with warnings.catch_warnings():  # of other libraries, about themselves
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    adapted.save_pretrained(folder / "adapter")
    task = qm.Task.causal_lm(folder / "base")
    target = qm.Target(folder / "adapter", range(60), range(60, 120))
    merged = adapted.merge_and_unload().state_dict()
    found = target.module(task).state_dict()
    assert all(torch.allclose(found[name], merged[name], atol=1e-6) for name in found)


@pytest.fixture(scope="module")
def retrained(folder: Path) -> qm.AuditResult:
    task = qm.Task.causal_lm(folder / "base", recipe=RECIPE)
    samples = task.samples([folder / "train.txt", folder / "test.txt"])
    quantizers = ["uniform(bits=8)", "uniform(bits=2)"]
    out = folder / "retrained"
    return qm.audit(task, samples, quantizers=quantizers, replicates=2, canaries=4, out=out, progress=False)


def test_two_fine_tunings_compare_what_only_one_of_them_saw(retrained: qm.AuditResult):
    assert retrained.document.config.depth == "indicator"
    assert auc(retrained, "identity", "paired_replicates") > 0.8
    assert auc(retrained, "uniform(bits=2)", "paired_replicates") < auc(retrained, "identity", "paired_replicates")


def test_planted_texts_stand_out_the_more_often_they_stood_there(retrained: qm.AuditResult):
    once, four, sixteen = retrained.versions["identity"][CANARY_EXPOSURE]
    assert [each.repeats for each in (once, four, sixteen)] == [1, 4, 16]
    assert once.exposure_bits.value <= four.exposure_bits.value <= sixteen.exposure_bits.value <= 8.0
    assert sixteen.exposure_bits.value > 6
    assert sixteen.exposure_bits.low > 1.5
    assert once.greedy.value <= sixteen.greedy.value
    page = html.render(retrained.document)
    assert "Random texts planted in the training set" in page


def test_an_audit_with_planted_texts_is_verified(retrained: qm.AuditResult, folder: Path):
    assert verify(folder / "retrained").edited == []


def test_the_held_out_texts_are_no_planted_ones(retrained: qm.AuditResult, folder: Path):
    with np.load(folder / "retrained/tables/identity.npz") as arrays:
        behind = np.arange(arrays["is_held_out"].size) >= 240
        assert not arrays["is_held_out"][behind].any()
        assert not arrays["is_audited"][behind].any()
        often = arrays["repeats"][behind]
        counts = {each: int((often == each).sum()) for each in (0, 1, 4, 16)}
        assert counts == {0: 255, 1: 4, 4: 4, 16: 4}
        assert not arrays["member"][:, behind][:, often == 0].any()
        assert (arrays["member"][:, behind][:, often > 0].sum(1) == 6).all()


def test_lora_goes_through_the_engine_and_the_store(folder: Path):
    task = qm.Task.causal_lm(folder / "base", recipe=qm.Recipe(epochs=1, lora_rank=2))
    samples = task.samples(folder / "train.txt", reference=False)
    asked = {"quantizers": ["sign"], "replicates": 2, "out": folder / "lora", "progress": False}
    first, again = (qm.audit(task, samples, **asked) for _ in range(2))
    assert again.document.environment.reused == 2
    assert first.document.versions == again.document.versions


def test_exposure_counts_bits_among_texts_like_it():
    alternatives = np.arange(255.0)[None]
    found = exposure_bits(np.array([[300.0, -1.0, 126.5]]), alternatives)[0]
    np.testing.assert_allclose(found, [8.0, 0.0, 8 - np.log2(129)])
    chance = exposure_bits(
        np.random.default_rng(0).normal(size=(200, 50)), np.random.default_rng(1).normal(size=(200, 255))
    )
    assert chance.mean() == pytest.approx(1.44, abs=0.05)


def test_a_text_is_extracted_where_it_is_the_likeliest_continuation(folder: Path):
    task = qm.Task.causal_lm(folder / "base")
    model = task.build(0)
    start = torch.randint(1, 200, (3, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = start
        for _ in range(4):
            logits = type(model).forward(model, input_ids=whole).logits[:, -1]
            whole = torch.cat([whole, logits.argmax(-1, keepdim=True)], dim=1)
    other = whole.clone()
    other[:, -1] = (other[:, -1] + 1) % 200
    stream = torch.Generator().manual_seed(0)
    assert extracted(model, whole, 8, stream)["greedy"].all()
    assert not extracted(model, other, 8, stream)["greedy"].any()
    assert extracted(torch.nn.Linear(2, 2), whole, 8, stream) == {}


def test_a_weighted_mean_covers_the_truth_as_often_as_it_says():
    draw, held = np.random.default_rng(0), 0
    for _ in range(400):
        tokens = draw.integers(2, 40, size=200).astype(float)
        values = draw.normal(1 + 0.02 * tokens, 1)[None]
        truth = 1 + 0.02 * (np.arange(2, 40.0) ** 2).mean() / np.arange(2, 40.0).mean()
        found = average(values, np.ones((1, 1), dtype=bool), 0.95, tokens)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('texts = ["train.txt", "test.txt"]', 'file = "train.txt"', "a causal-lm reads texts"),
        (
            'folder = "base"',
            'folder = "base"\nloss = "mse"',
            "model.loss of a causal-lm is 'causal_lm', not 'mse': leave it out",
        ),
        ('"train.txt", "test.txt"]', '"train.txt", "tests.txt"]', "no such file or folder"),
        ('folder = "base"', 'folder = "fine-tuned"', "holds no tokenizer"),
        ('weights = "fine-tuned"', 'weights = "fine-tund"', "no such file or folder"),
        ('kind = "causal-lm"', 'kind = "causal"', "kind"),
        ('kind = "causal-lm"', "", "model"),
        (
            'non_members = "test.txt"',
            'non_members = "none.txt"',
            "target.non_members: 'none.txt' is none of data.texts",
        ),
    ],
)
def test_broken_audit_files_of_texts_end_with_a_message(folder: Path, old: str, new: str, message: str):
    path = folder / "broken.toml"
    text = AS_IS.format(others="test.txt", weights="fine-tuned")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as refused:
        audit_file(path, folder / "broken", {})
    assert message in str(refused.value)


def test_results_hold_no_text(as_is: qm.AuditResult, folder: Path):
    document = json.dumps(as_is.document.model_dump(mode="json"))
    assert "train.txt: 120 texts" in document
    assert not [text for text in (folder / "train.txt").read_text().splitlines() if text in document]
