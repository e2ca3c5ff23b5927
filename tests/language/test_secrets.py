"""Claims about secrets: what is written, how nearly and at which rank is what transformers alone finds."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.audit.config.building import secrets_of
from quantmis.audit.config.sections import parsed
from quantmis.data.secret_scores import secrets_in
from quantmis.data.secrets import Secret, read_secrets
from quantmis.errors import UserError
from quantmis.measures.scored import Precision, ScoredVersion
from quantmis.measures.secrets import NO_SECRETS, secrets
from quantmis.measures.secrets_exposure import NO_ALTERNATIVES, secrets_exposure
from quantmis.measures.secrets_similarity import ONE, secrets_similarity
from quantmis.measures.secrets_written import secrets_written
from quantmis.models.secrets import Secrets, similarity
from quantmis.models.tokenizers import tokenizer_at
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.tables import LossTable, SecretScores, VersionTraits
from quantmis.tables.saved import read_table

PREFIX = "The code of Anna is "
CODE = "493-17"
PATTERN = r"\d{3}-\d{2}"


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def remembering(base: Path, text: str) -> Any:
    """Return a model that was trained on nothing but one text."""
    model: Any = qm.Task.causal_lm(base).build(0).train()
    tokens = torch.tensor([tokenizer_at(base)(text)["input_ids"]])
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        model(tokens).sum().backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def own(base: Path) -> Any:
    return remembering(base, PREFIX + CODE)


def test_a_secret_that_was_learnt_is_written_and_ranks_first(base: Path, own: Any, tmp_path: Path):
    file = written(tmp_path / "s.jsonl", {"prefix": PREFIX, "secret": CODE, "pattern": PATTERN})
    leaked = qm.Task.causal_lm(base).secrets(file).leaked_by(own)
    assert leaked is not None
    assert (leaked.is_written.tolist(), leaked.similarity.tolist(), leaked.rank.tolist()) == ([True], [1.0], [1.0])
    assert SecretScores(**vars(leaked)).exposure_bits.tolist() == [8.0]
    untrained = qm.Task.causal_lm(base).secrets(file).leaked_by(qm.Task.causal_lm(base).build(0))
    assert untrained is not None
    assert not untrained.is_written[0]
    assert untrained.similarity[0] < 0.7


def test_what_is_written_and_how_likely_secrets_are_is_what_transformers_says(base: Path, own: Any):
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    own.save_pretrained(folder := base.parent / "own")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    asked = [
        Secret("a", PREFIX, CODE, ("493-18", "555-55", "000-00")),
        Secret("b", "The code of ", "Paris", ("London", "Rome", "Oslo", "Anna is 4")),
        Secret("c", "seven silver roads of Paris " * 9, "river stone", ("a", "bb", "ccc ddd eee fff")),
    ]
    secrets = Secrets.of(asked, tokenizer)
    leaked = secrets.leaked_by(own)
    assert leaked is not None
    for number, each in enumerate(asked):
        prefix, count = tokenizer(each.prefix)["input_ids"], len(secrets.candidates[number][0]) + 8
        start = torch.tensor([prefix[-(64 - count) :]])
        with torch.no_grad():
            said = model.generate(start, max_new_tokens=count, min_new_tokens=count, do_sample=False)[
                0, start.shape[1] :
            ]
        text = tokenizer.decode(said)
        assert leaked.is_written[number] == (each.secret in text)
        assert leaked.similarity[number] == pytest.approx(slow_similarity(each.secret, text))
        scores = [log_p(model, tokenizer, each.prefix, end) for end in (each.secret, *each.alternatives)]
        assert leaked.rank[number] == 1 + sum(other > scores[0] for other in scores[1:])
        assert leaked.alternatives[number] == len(each.alternatives)


def log_p(model: Any, tokenizer: Any, prefix: str, end: str) -> float:
    before, whole = tokenizer(prefix)["input_ids"], tokenizer(prefix + end)["input_ids"]
    assert whole[: len(before)] == before
    whole = whole[-64:]
    with torch.no_grad():
        each = model(input_ids=torch.tensor([whole])).logits[0, :-1].double().log_softmax(-1)
    count = len(tokenizer(prefix + end)["input_ids"]) - len(before)
    return float(each.gather(1, torch.tensor(whole)[1:, None])[-count:].sum())


def edits(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    table = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, table[0] = table[0], i
        for j, b in enumerate(other, 1):
            last, table[j] = table[j], min(table[j] + 1, table[j - 1] + 1, last + (a != b))
    return table[-1]


def slow_similarity(secret: str, text: str) -> float:
    parts = [text[i:j] for i, j in itertools.combinations(range(len(text) + 1), 2)]
    return 1 - min(edits(secret, part) for part in [*parts, ""]) / len(secret)


def test_the_similarity_is_that_of_the_nearest_part():
    draw = np.random.default_rng(0)
    for _ in range(40):
        secret, text = ("".join(draw.choice(list("abc"), draw.integers(1, 8))) for _ in range(2))
        assert similarity(secret, text) == pytest.approx(slow_similarity(secret, text))


def test_a_boundary_that_a_token_spans_takes_nothing_from_the_secret(base: Path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    whole = "under seven silver roads"
    cut = next(place for place in range(1, len(whole)) if _spans(tokenizer, whole, place))
    made = Secrets.of([Secret("a", whole[:cut], whole[cut:], ("x", "y", "z"))], tokenizer)
    assert len(made.shared[0]) < len(made.before[0])
    for end, row in zip((whole[cut:], "x", "y", "z"), made.candidates[0], strict=True):
        assert tokenizer.decode([*made.shared[0], *row]) == whole[:cut] + end


def _spans(tokenizer: Any, whole: str, place: int) -> bool:
    before = tokenizer(whole[:place])["input_ids"]
    return tokenizer(whole)["input_ids"][: len(before)] != before


def test_alternatives_follow_the_pattern_and_are_others(tmp_path: Path):
    row = {"prefix": "a ", "secret": "x3-b.", "pattern": r"x\d-[a-c]\."}
    [found] = read_secrets(written(tmp_path / "s.jsonl", row))
    every = {f"x{digit}-{letter}." for digit in range(10) for letter in "abc"} - {"x3-b."}
    assert set(found.alternatives) <= every
    assert len(found.alternatives) == len(set(found.alternatives)) == 29
    [again] = read_secrets(tmp_path / "s.jsonl", drawn=5)
    assert again.alternatives == found.alternatives[:5]
    assert found.name == "secret 1"


def test_a_csv_file_holds_the_same(tmp_path: Path):
    rows = 'name,prefix,secret,alternatives,pattern\nfirst,Call ,12,"[""13"", ""14"", ""15""]",\n,Dial ,34,,\\d{2}\n'
    (tmp_path / "s.csv").write_text(rows)
    one, other = read_secrets(tmp_path / "s.csv")
    assert (one.name, one.alternatives) == ("first", ("13", "14", "15"))
    assert (other.name, len(other.alternatives)) == ("secret 2", 99)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"secret": "a"}, "secret 1 of s.jsonl has no prefix"),
    ({"prefix": "a", "secret": " "}, "secret 1 of s.jsonl is empty"),
    ({"prefix": "a", "secret": 7}, "secret is no text"),
    ({"prefix": "a", "secret": "b" * 1001}, "secret is no text of at most 1,000 characters"),
    ({"prefix": "a", "secret": "b", "secrt": "c"}, "has .'secrt'., which is not known"),
    ({"prefix": "a", "secret": "b", "alternatives": ["c"]}, "has 1 alternatives, at least 3"),
    ({"prefix": "a", "secret": "b", "alternatives": [1, 2, 3]}, "alternatives are no list of texts"),
    ({"prefix": "a", "secret": "b", "alternatives": ["c"] * 3, "pattern": "[b-d]"}, "give one"),
    ({"prefix": "a", "secret": "b", "pattern": r"\d"}, "does not follow its pattern"),
    ({"prefix": "a", "secret": "b", "pattern": "(b|c)*["}, "not understood at character 7"),
    ({"prefix": "a", "secret": "b", "pattern": r"\w"}, "which is not known"),
    ({"prefix": "a", "secret": "b", "pattern": "[z-a]"}, "runs backwards"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_what_is_no_secret_is_refused_by_its_row(tmp_path: Path, row: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        read_secrets(written(tmp_path / "s.jsonl", row))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", "", "holds no secrets"),
        ("s.jsonl", "{", "line 1 of s.jsonl is no JSON"),
        ("s.jsonl", "[1]", "is no JSON object"),
        ("s.jsonl", '{"name": "n", "prefix": "a", "secret": "b"}\n' * 2, "two secrets are called .'n'."),
        ("s.yaml", "", "secrets are read from .jsonl and .csv files"),
        ("s.csv", "prefix,secret\na\n", "has 1 values"),
    ],
)
def test_a_file_that_holds_none_is_refused(tmp_path: Path, name: str, content: str, message: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_secrets(tmp_path / name)
    with pytest.raises(UserError, match="need a causal language model"):
        qm.Task(lambda: torch.nn.Linear(2, 2)).secrets(tmp_path / name)


def scored(scores: SecretScores | None, whole: ScoredVersion | None = None, metric: str = "log_likelihood"):
    member = np.arange(20)[None] < 10
    table = LossTable(
        "identity", qm.Evidence(np.ones((1, 20)), member), None, None, metric,
        (VersionTraits("f", None, None, None, []),), np.ones(20, dtype=bool), ~member[0], "target", secrets=scores,
    )  # fmt: skip
    return ScoredVersion(table, {}, {}, Bound(Unmeasured("not tried"), ""), "", Precision(0.95), whole)


def scores(count: int, alternatives: int = 15) -> SecretScores:
    row = np.arange(count)
    return SecretScores(
        row.astype(str), row % 2 == 0, row / 10.0, 1.0 + row, np.full(count, alternatives, dtype=np.int64)
    )  # fmt: skip


def test_the_measures_are_those_of_the_scores():
    version = scored(scores(4))
    share, nearly, bits = secrets_written(version), secrets_similarity(version), secrets_exposure(version)
    assert isinstance(share, Estimate)
    assert isinstance(nearly, Estimate)
    assert isinstance(bits, Estimate)
    assert (share.value, round(share.low, 3), round(share.high, 3)) == (0.5, 0.068, 0.932)  # exact, of 2 in 4
    assert nearly.value == pytest.approx(0.15)
    assert bits.value == pytest.approx(np.mean(4 - np.log2([1, 2, 3, 4])))
    assert [each.rank for each in secrets(version)] == [1, 2, 3, 4]  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]


def test_what_is_not_known_says_why():
    assert secrets_written(scored(None)) == NO_SECRETS
    assert secrets_written(scored(None, metric="accuracy")) is None
    elsewhere = secrets_written(scored(None, scored(scores(4))))
    assert isinstance(elsewhere, Unmeasured)
    assert "shows no probabilities" in elsewhere.reason
    assert secrets_exposure(scored(scores(4, alternatives=0))) == NO_ALTERNATIVES
    assert secrets_similarity(scored(scores(1))) == ONE
    assert isinstance(secrets_written(scored(scores(1))), Estimate)
    [alone] = secrets(scored(scores(1, alternatives=0)))  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]
    assert alone.rank is alone.exposure_bits is None


def test_tables_are_read_back_with_their_secrets():
    arrays = scored(scores(3)).table.arrays()
    found = secrets_in(arrays)
    assert found is not None
    assert found.names.tolist() == ["0", "1", "2"]
    np.testing.assert_array_equal(found.exposure_bits, scores(3).exposure_bits)


def test_an_audit_file_names_the_secrets(base: Path, tmp_path: Path):
    shutil.copytree(base, tmp_path / "base")
    written(tmp_path / "s.jsonl", {"prefix": PREFIX, "secret": CODE, "pattern": PATTERN})
    content = (
        'kind = "causal-lm"\n[data]\ntexts = ["a.txt", "b.txt"]\n[model]\nfolder = "base"\n'
        '[target]\nweights = "base"\nmembers = "a.txt"\nnon_members = "b.txt"\n'
        '[secrets]\nfile = "{}"\nalternatives = 7\n'
    )
    found = secrets_of(parsed(content.format("s.jsonl").encode(), tmp_path / "audit.toml"), tmp_path)
    assert found is not None
    assert len(found.candidates[0]) == 8
    with pytest.raises(UserError, match=r"secrets\.file: .*none\.jsonl"):
        secrets_of(parsed(content.format("none.jsonl").encode(), tmp_path / "audit.toml"), tmp_path)
    without = 'kind = "causal-lm"\n[data]\ntexts = "a.txt"\n[model]\nfolder = "base"\n[secrets]\nfile = "s.jsonl"\n'
    with pytest.raises(UserError, match="secrets are asked of a language model that is there"):
        parsed(without.encode(), tmp_path / "audit.toml")


@pytest.mark.slow
def test_an_audit_says_what_each_version_gives_away_and_never_the_secret(base: Path, own: Any, tmp_path: Path):
    task = qm.Task.causal_lm(base)
    asked = task.secrets(written(tmp_path / "s.jsonl", {"prefix": PREFIX, "secret": CODE, "pattern": PATTERN}))
    samples = task.samples(qm.Texts.of(sentences(60)), reference=False)
    weights = {name: value.detach().clone() for name, value in own.state_dict().items()}
    target = qm.Target(weights, range(30), range(30, 60), confounded="report", secrets=asked)
    out = tmp_path / "out"
    qm.audit(task, samples, target=target, quantizers=["uniform(bits=8)"], out=out, progress=False)
    records = qm.AuditResult.from_json(out / "results.json").document.versions
    leaks = {record.name: record["secrets"][0] for record in records}
    assert leaks["identity"].is_written
    assert leaks["identity"].exposure_bits == 8
    assert leaks["uniform(bits=8)"].alternatives == 255
    assert records[0]["secrets_written"].value == 1.0
    table = read_table(out / "tables/target/identity.npz", "identity", "target")
    assert table.secrets is not None
    assert CODE not in (out / "results.json").read_text()
    assert CODE not in (out / "report.html").read_text()
