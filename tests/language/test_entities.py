"""Entities: what patterns find in members is asked for as a secret, and ranked as transformers alone ranks it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.audit.config.building import samples_of, secrets_of
from quantmis.audit.config.sections import parsed
from quantmis.data.entities import entities_in, entity_secrets, read_patterns
from quantmis.errors import UserError

PATTERNS = """
phone = '\\d{3}-\\d{4}'
name = ["Anna", "Anna Lind", "Paris"]
"""


@pytest.fixture
def patterns(tmp_path: Path) -> Path:
    (tmp_path / "patterns.toml").write_text(PATTERNS)
    return tmp_path / "patterns.toml"


def test_of_entities_that_overlap_the_longest_counts_and_words_are_whole(patterns: Path):
    read = read_patterns(patterns)
    found = entities_in(["call Anna Lind, 555-0199, in Parisian Paris", "no entity"], read)
    assert [(each.kind, each.row, each.says) for each in found] == [
        ("name", 0, "Anna Lind"),
        ("phone", 0, "555-0199"),
        ("name", 0, "Paris"),
    ]


def numbered(count: int = 12) -> list[str]:
    return [f"call me at {555 + row}-{1000 + row} or {555 + row}-{1000 + row}" for row in range(count)]


def test_entities_of_members_are_ranked_among_those_of_all_texts(patterns: Path):
    texts, phone = numbered(), {"phone": read_patterns(patterns)["phone"]}
    is_member = [row < 5 for row in range(12)]
    found = entity_secrets([*texts, "555-0000 begins"], [*map(str, range(13))], [*is_member, True], phone)
    assert [each.secret for each in found] == [f"{555 + row}-{1000 + row}" for row in range(5)]
    assert {each.prefix for each in found} == {"call me at "}
    for each in found:
        assert set(each.alternatives) == {f"{555 + row}-{1000 + row}" for row in range(12)} - {each.secret} | {
            "555-0000"
        }
    some = entity_secrets(texts, [*map(str, range(12))], is_member, phone, at_most=2, alternatives=4)
    assert [len(each.alternatives) for each in some] == [4, 4]


def test_alternatives_of_like_length_come_first():
    texts = ["id 7" + "0" * length + "." for length in range(9)]
    found = entity_secrets(texts, texts, [True] * 9, {"id": read_pattern(r"\d+")}, alternatives=3)
    lengths = {len(each.secret): {len(other) for other in each.alternatives} for each in found}
    assert lengths[1] == {2, 3, 4}
    assert lengths[9] == {8, 7, 6}


def read_pattern(spelled: str) -> Any:
    import re

    return re.compile(spelled)


def test_the_rank_of_an_entity_is_that_of_its_tokens_in_the_models_own_loss(base: Path, patterns: Path):
    texts = numbered(8)
    found = entity_secrets(texts, texts, [True] * 8, {"phone": read_patterns(patterns)["phone"]})
    leaked = qm.Task.causal_lm(base).secrets(found).leaked_by(qm.Task.causal_lm(base).build(0).eval())
    assert leaked is not None
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(base)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(base).eval()

    def loss(text: str) -> float:
        tokens = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            return float(model(tokens, labels=tokens).loss) * (tokens.shape[1] - 1)

    for secret, rank in zip(found, leaked.rank, strict=True):
        others = np.array([loss(secret.prefix + each) for each in secret.alternatives])
        assert rank == 1 + (others < loss(secret.prefix + secret.secret)).sum()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("phone = 3", "phone of patterns.toml is no pattern and no list of words"),
        ("phone = '['", "is no regular expression"),
        (r"phone = '\\d*'", "matches nothing at all, everywhere"),
        ("", "names no kind of entity"),
        ("phone", "is no TOML"),
    ],
)
def test_what_is_no_pattern_is_refused(tmp_path: Path, content: str, message: str):
    (tmp_path / "patterns.toml").write_text(content.replace("\\\\", "\\"))
    with pytest.raises(UserError, match=message):
        read_patterns(tmp_path / "patterns.toml")


def test_entities_that_cannot_be_ranked_are_refused(patterns: Path):
    phone = {"phone": read_patterns(patterns)["phone"]}
    with pytest.raises(UserError, match="no text that the model was trained on holds a phone"):
        entity_secrets(numbered(), numbered(), [False] * 12, phone)
    with pytest.raises(UserError, match="hold 2 different phone, and each needs 3 others"):
        entity_secrets(numbered(2), numbered(2), [True] * 2, phone)


def audit_file(folder: Path, base: Path, secrets: str) -> Any:
    lines = [f"{text} and {555 + row}-{2000 + row}" for row, text in enumerate(sentences(80))]
    (folder / "train.txt").write_text("\n".join(lines[:40]))
    (folder / "test.txt").write_text("\n".join(lines[40:]))
    content = (
        f'kind = "causal-lm"\n[data]\ntexts = ["train.txt", "test.txt"]\n[model]\nfolder = "{base}"\n'
        "pretrained = false\n"
        f'[target]\nweights = "{base}"\nmembers = "train.txt"\nnon_members = "test.txt"\n[secrets]\n{secrets}'
    )
    return parsed(content.encode(), folder / "audit.toml")


def test_an_audit_file_asks_for_the_entities_of_members_alone(base: Path, patterns: Path):
    folder = patterns.parent
    patterns.write_text("phone = '\\d{3}-\\d{4}'")
    file = audit_file(folder, base, 'entities = "patterns.toml"\nat_most = 7\nalternatives = 20')
    secrets = secrets_of(file, folder, samples_of(file, folder))
    assert secrets is not None
    assert len(secrets) == 7
    assert all("train.txt:" in each.name and len(each.alternatives) == 20 for each in secrets.secrets)
    with pytest.raises(UserError, match="name secrets in file"):
        audit_file(folder, base, "at_most = 7")
