"""Claims about formats: all say the same, and a hostile name is text in each of them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import audited, judged, target

from quantmis.gate import FORMATS, Judgement, Verdict
from quantmis.stats import Estimate

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
POLICY = 'version = ["sign", "identity"]\n[limits]\nattack_accuracy_at_most = 0.6\nutility_change_at_least = 0.0\n'
HOSTILE = (
    "\n::error::injected\r\n::set-output name=a::b",
    "##[error]injected ##[set-env name=PATH]x",
    "<script>alert(1)</script>]]><failure/>&amp;\x00\x0b",
    '"},{"within":true',
    "\x1b[32mwithin\x1b[0m \u202efo llams",
    "%0A::error::x, title=y::z",
    "\ufffe\uffff\U000e0001",
    "a" * 10_000,
)


@pytest.fixture
def judgement() -> Judgement:
    return judged(POLICY, audited(target=target(differs=True)))


def hostile(text: str) -> Judgement:
    number = Estimate(0.5, 0.4, 0.6, method=text)
    verdicts = (
        Verdict("limits.attack_accuracy_at_most", "this model", text, text, text, False, text, 0.1, number, 0.6),
        Verdict("evidence.weights", "this audit", None, text, text, True, text),
    )
    return Judgement(text, text, verdicts, ("a note",))


def test_people_read_what_is_exceeded_first_and_what_it_comes_to_last(judgement: Judgement):
    lines = FORMATS["text"](judgement).splitlines()
    outcomes = [line.split()[0] for line in lines if line[0] != " "]
    assert outcomes[0] == "EXCEEDED"
    assert outcomes.index("within") > outcomes.index("EXCEEDED")
    assert "EXCEEDED" not in outcomes[outcomes.index("within") :]
    assert lines[0] == "EXCEEDED  evidence.blind_baseline  (this audit)"
    assert re.match(r"\d of \d limits exceeded: results.json against the policy", lines[-1])


def test_a_model_within_every_limit_reads_so():
    lines = FORMATS["text"](judged("[limits]\nsecurity_upper_bound_at_least = 0.0")).splitlines()
    assert lines[-1].startswith("within all 11 limits")


def test_every_format_tells_of_every_verdict(judgement: Judgement):
    failed, count = len(judgement.exceeded), len(judgement.verdicts)
    assert 0 < failed < count
    document = json.loads(FORMATS["json"](judgement))
    assert (document["schema_version"], document["within"], len(document["verdicts"])) == (1, False, count)
    assert [each["within"] for each in document["verdicts"]].count(False) == failed
    github = FORMATS["github"](judgement).splitlines()
    assert sum(line.startswith("::error title=exceeded") for line in github) == failed
    assert sum(line.startswith("::notice title=within") for line in github) == count - failed
    root = ElementTree.fromstring(FORMATS["junit"](judgement))
    assert (len(root.findall(".//testcase")), len(root.findall(".//failure"))) == (count, failed)
    assert (root.get("tests"), root.get("failures")) == (str(count), str(failed))


def test_code_scanning_shows_what_is_exceeded_at_the_policy(judgement: Judgement):
    document = json.loads(FORMATS["sarif"](judgement))
    [run] = document["runs"]
    assert (document["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "quantmis gate")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    outcomes = [(each["kind"], each["level"]) for each in run["results"]]
    assert outcomes.count(("fail", "error")) == len(judgement.exceeded)
    assert outcomes.count(("pass", "none")) == len(judgement.verdicts) - len(judgement.exceeded)
    for result, verdict in zip(run["results"], judgement.verdicts, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == verdict.limit
        [place] = result["locations"]
        assert place["physicalLocation"]["region"] == {"startLine": 1}
        assert verdict.sentence in result["message"]["text"]
    alerts = [each["partialFingerprints"]["quantmisVerdict/v1"] for each in run["results"]]
    assert len(set(alerts)) == len(alerts)


@pytest.mark.parametrize(
    ("policy", "uri"),
    [("policy.toml", "policy.toml"), ("a b/p.toml", "a%20b/p.toml"), ("/etc/policy.toml", "file:///etc/policy.toml")],
)
def test_a_policy_is_named_by_a_uri(judgement: Judgement, policy: str, uri: str):
    document = json.loads(FORMATS["sarif"](replace(judgement, policy=policy)))
    places = [each["locations"][0]["physicalLocation"] for each in document["runs"][0]["results"]]
    assert {each["artifactLocation"]["uri"] for each in places} == {uri}


def test_numbers_stand_in_json_with_their_interval_and_the_end_that_was_judged(judgement: Judgement):
    verdicts = json.loads(FORMATS["json"](judgement))["verdicts"]
    found = next(each for each in verdicts if each["limit"] == "limits.attack_accuracy_at_most")
    assert found["judged"] == found["measured"]["high"] > found["measured"]["value"]
    assert found["threshold"] == 0.6


def test_junit_keeps_to_its_schema(judgement: Judgement):
    SCHEMA.validate(FORMATS["junit"](judgement))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_text_in_every_format(text: str):
    _stands_as_text(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_name_is_text_in_every_format(text: str):
    _stands_as_text(text)


def _stands_as_text(text: str) -> None:
    judgement = hostile(text)
    github = FORMATS["github"](judgement).splitlines()
    assert [line.split(" ")[0] for line in github] == ["::error", "::error", "::notice", "::notice"]
    assert [re.match(r"::(error|notice) title=[^:,]*::", line) is not None for line in github] == [True] * 4
    lines = FORMATS["text"](judgement).splitlines()
    assert len(lines) == 6
    assert not set("".join(lines)) & set("\x1b\u202e\x00\u2028\r")
    junit = FORMATS["junit"](judgement)
    SCHEMA.validate(junit)
    assert len(ElementTree.fromstring(junit).findall(".//testcase")) == 2
    document = json.loads(FORMATS["json"](judgement))
    assert document["verdicts"][0]["version"] == text
    assert FORMATS["json"](judgement).isascii()
