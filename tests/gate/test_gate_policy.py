"""Claims about policies: every key is known, a mistake is refused with its path and what was meant."""

import contextlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import audited, judged

from quantmis import gate
from quantmis.audit.config import read as audit_file
from quantmis.errors import UserError
from quantmis.gate import policy
from quantmis.gate.policy import SECTIONS, parse
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY

ONE = "[limits]\nattack_accuracy_at_most = 0.6\n"


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        (
            "[limits]\nattack_acuracy_at_most = 0.6",
            "unknown key limits.attack_acuracy_at_most",
            "did you mean 'attack_accuracy_at_most'",
        ),
        ("[limit]\nepsilon_lower_bound_at_most = 1", "unknown key limit", "did you mean 'limits'"),
        (ONE + "[[limits.tpr]]\nat_fprs = 0.01", "unknown key limits.tpr.0.at_fprs", "did you mean 'at_fpr'"),
        (ONE + "[[limits.tpr]]\nat_fpr = 1\nat_most = 0.1", "less than 1, got 1", "share of non-members"),
        ("[limits]\nsparsity_at_most = 0.5", "unknown key limits.sparsity_at_most", "known: attack_accuracy_at_most"),
        ("[limits]\nutility_at_most = 0.9", "unknown key limits.utility_at_most", "did you mean 'utility_at_least'"),
        ("[evidence]\nage = 3", "unknown key evidence.age", "age_in_days_at_most"),
        ("[limits]\nattack_accuracy_at_most = 60", "less than or equal to 1, got 60", "50 % is a coin"),
        ("[limits]\nattack_accuracy_at_most = 0.4", "greater than or equal to 0.5, got 0.4", "50 % is a coin"),
        ("[limits]\nexposure_by_class_at_most = 0.4", "greater than or equal to 0.5, got 0.4", "0.5 is a coin"),
        ("[limits]\nattack_accuracy_at_most = '0.6'", "valid number, got '0.6'", "50 % is a coin"),
        ("[limits]\nattack_accuracy_at_most = true", "valid number", "50 % is a coin"),
        ("[limits]\nattack_accuracy_at_most = nan", "finite number", "50 % is a coin"),
        ("[limits]\nutility_change_at_least = -inf", "finite number, got -inf", "full precision"),
        ("[ranking]\nrank_at_most = 0", "greater than or equal to 1", "the strongest attacker"),
        ("[ranking]\nrank_at_most = 1.5", "valid integer", "the strongest attacker"),
        ("[evidence]\ndepth = 'deep'", "'as-is', 'indicator' or 'shadow', got 'deep'", "How deep"),
        ("[evidence]\nweights = 'abc'", "match pattern", "SHA-256"),
        ("[evidence]\nlevel_at_least = 1.0", "less than 1, got 1.0", "confidence level"),
        ("about = ['the model']\n" + ONE, "'this model' or 'this training algorithm', got 'the model'", "example"),
        ("version = 3\n" + ONE, "version", "example"),
        ("limits = 3", "limits: Input should be", "example"),
        ("version = []\n" + ONE, "version names nothing", "example"),
        ("about = []\n" + ONE, "about names nothing", "example"),
        ("", "sets no limit", "example"),
        ("version = 'sign'\n[limits]\n[evidence]", "sets no limit", "example"),
        ("[evidence]\nfailed_controls_at_most = 0", "sets no limit", "example"),
        ("[limits", "is no TOML", "example"),
        ("a = 1\na = 2", "is no TOML", "example"),
        ("a = " + "[" * 100_000, "is no TOML", "example"),
        ("a = " + "9" * 5_000, "is no TOML", "example"),
        ("#" * 1_000_001, "larger than a megabyte", "a page of limits"),
    ],
)
def test_a_mistake_in_a_policy_is_refused_with_what_was_meant(written: str, message: str, hint: str):
    with pytest.raises(UserError) as refused:
        parse(written.encode(), "policy.toml")
    assert str(refused.value).startswith("policy.toml")
    assert message in str(refused.value)
    assert hint in str(refused.value.hint)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(UserError, match="is no TOML"):
        parse(b"\xff\xfe")


def test_a_hostile_key_arrives_without_its_control_characters():
    with pytest.raises(UserError) as refused:
        parse(rb'"\u001b[31m\u202e\n::error::" = 1')
    assert not set("\x1b\u202e\n") & set(f"{refused.value}{refused.value.hint}")


@pytest.mark.parametrize("missing", ["nowhere.toml", "."])
def test_a_policy_that_cannot_be_read_says_so(tmp_path: Path, missing: str):
    with pytest.raises(UserError, match="cannot read the policy") as refused:
        gate.read(tmp_path / missing)
    assert "--example" in str(refused.value.hint)


def test_the_example_is_a_policy_and_shows_every_key(tmp_path: Path):
    path = tmp_path / "policy.toml"
    path.write_text(gate.EXAMPLE)
    rules = gate.read(path)
    assert rules.versions == ["uniform(bits=4)"]
    assert rules.limits.attack_accuracy_at_most == 0.6
    for section in SECTIONS.values():
        for key in section.model_fields:
            assert key in gate.EXAMPLE


def test_a_measure_that_is_new_stands_in_the_example_too(monkeypatch: pytest.MonkeyPatch):
    known, new = policy.limited(), replace(ATTACK_ACCURACY, name="mine", title="Mine", limits=("at_most",))
    monkeypatch.setattr(policy, "limited", lambda: {**known, "mine_at_most": (new, "at most")})
    lines = policy.example().splitlines()
    limits = lines[: next(index for index, line in enumerate(lines) if line.startswith("[[limits.tpr]]"))]
    assert "# mine_at_most = 0.5  # Mine" in limits
    assert set(lines) - set(gate.EXAMPLE.splitlines()) == {"# mine_at_most = 0.5  # Mine"}


def test_the_example_without_its_comment_marks_is_a_policy_too():
    lines = [line.removeprefix("# ") if " = " in line else line for line in gate.EXAMPLE.splitlines()]
    rules = parse("\n".join(line for line in lines if line != lines[1]).encode())
    assert rules.ranking.rank_at_most == 3
    assert rules.evidence.attacks == ["lira"]
    assert rules.about == ["this model"]


def test_the_schema_for_editors_accepts_the_example_and_refuses_a_misspelled_key():
    schema = gate.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    example = tomllib.loads(gate.EXAMPLE)
    jsonschema.validate(example, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**example, "limit": {}}, schema)
    assert schema["$defs"]["Limits"]["properties"]["epsilon_lower_bound_at_most"]["description"]


GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "gate-in-ci.md").read_text(encoding="utf-8")


def test_the_guide_shows_a_policy_and_the_audit_file_of_its_commands(tmp_path: Path):
    shown = dict(re.findall(r"^```toml\n# (\w+\.toml)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
    assert set(shown) == {"policy.toml", "audit.toml"}
    rules = parse(shown["policy.toml"].encode())
    (tmp_path / "audit.toml").write_text(shown["audit.toml"])
    file = audit_file(tmp_path / "audit.toml")
    assert file.target is not None
    assert GUIDE.count(f"--weights {file.target.weights}") == 3
    assert rules.versions == file.audit.quantizers
    assert GUIDE.index("# audit.toml") < GUIDE.index("quantmis audit audit.toml --out audit")


def test_the_guide_names_keys_and_subjects_that_there_are():
    known = {key for section in SECTIONS.values() for key in section.model_fields}
    named = set(re.findall(r"\w+_at_(?:most|least)\b", GUIDE.replace("<measure>", "")))
    assert {"generalization_gap_at_most", "attack_accuracy_at_most"} <= named - {"_at_most", "_at_least"} <= known
    [about] = re.findall(r"`(about = .*?)`", GUIDE)
    assert parse(f"{about}\n{ONE}".encode()).about == ["this model", "this training algorithm"]


KEYS = st.sampled_from(sorted({key for section in SECTIONS.values() for key in section.model_fields}))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([0.5, 0.01, 1, 10**400, "sign", "uniform(bits=4)", "lira", "this model", "shadow"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else ("''" if value is None else repr(value))


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS | st.text(max_size=8), TREES, max_size=5))
def test_any_tree_of_keys_is_a_policy_that_judges_or_is_refused(tree: dict[str, Any]):
    written = "\n".join(f"{_quoted(key)} = {toml(value)}" for key, value in tree.items())
    with contextlib.suppress(UserError):
        judgement = judged(written, audited())
        assert all(write(judgement) for write in gate.FORMATS.values())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_policy_or_are_refused(content: bytes):
    with contextlib.suppress(UserError):
        assert isinstance(parse(content), gate.Policy)
