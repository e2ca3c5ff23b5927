"""Claims about statements: what is signed is what was measured, and nothing that was changed by a bit is believed."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID
from documents import ranking
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from judged import audited, target
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from quantmis import results as schema
from quantmis.attestation import envelope, sigstore
from quantmis.attestation.covered import Coverage, Signer, believed, covered, written
from quantmis.attestation.statement import CODES, FILE, PREDICATE_TYPE, TENSORS, Statement
from quantmis.cli.app import main
from quantmis.errors import UserError
from quantmis.gate.attesting import StatementRequest, attest
from quantmis.results import Results
from quantmis.results.seal import sealed
from quantmis.shipped import shipped

NOW = datetime(2026, 3, 12, 9, 15, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
POLICY = 'version = "sign"\nabout = ["this model"]\n[limits]\nattack_accuracy_at_most = 0.9\n'
STRICT = POLICY.replace("0.9", "0.51")
Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class Audit:
    """Hold the folder of an audit of two files of weights, and the keys of two signers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.weights, self.quantized = folder / "model.bin", folder / "sign.gguf"
        self.weights.write_bytes(b"full precision weights")
        self.quantized.write_bytes(b"quantized weights")
        files = {"sign": shipped(self.quantized).file}
        self.write(of_weights(name="model.bin", file=shipped(self.weights).file, files=files))
        self.policy = folder / "policy.toml"
        self.policy.write_text(POLICY)
        self.key, self.public = keys(folder, "signer", ed25519.Ed25519PrivateKey.generate())
        self.foreign_key, self.foreign = keys(folder, "foreign", ec.generate_private_key(ec.SECP256R1()))
        self.statement = folder / "attestation.json"

    def write(self, results: Results) -> None:
        schema.write(sealed(results), self.folder / "results.json")

    def attested(self, **changes: Any) -> Path:
        request = {"key": self.key, "policy": self.policy, **changes}
        attest(StatementRequest(self.folder, **request), NOW)
        return self.statement

    def held(self, weights: Path | None = None, now: datetime = LATER, **changes: Any) -> Coverage:
        return covered(self.statement, Signer(self.public), weights or self.quantized, now, **changes)


def of_weights(**fields: Any) -> Results:
    own = target(**fields)
    return audited(target=own.model_copy(update={"ranking": ranking(own.versions)}))


def keys(folder: Path, name: str, key: Any) -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    made = Audit(tmp_path_factory.mktemp("audit"))
    made.attested()
    return made


# what is signed


def test_the_signature_verifies_without_any_code_of_ours(signed: Audit):
    written = json.loads(signed.statement.read_bytes())
    payload, kind = base64.b64decode(written["payload"]), written["payloadType"].encode()
    encoded = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    [signature] = written["signatures"]
    public = load_pem_public_key(signed.public.read_bytes())
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(base64.b64decode(signature["sig"]), encoded)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signature["sig"]), encoded + b" ")


def test_the_library_of_the_envelope_verifies_it(signed: Audit):
    key = SSlibKey.from_crypto(load_pem_public_key(signed.public.read_bytes()))
    assert Envelope.from_dict(json.loads(signed.statement.read_bytes())).verify([key], 1) == {key.keyid: key}


def test_sigstore_and_cosign_read_the_same_envelope(audit: Audit):
    from sigstore import dsse

    key, public = keys(audit.folder, "curve", ec.generate_private_key(ec.SECP256R1()))
    audit.attested(key=key)
    read = dsse.Envelope._from_json(audit.statement.read_bytes())
    point = load_pem_public_key(public.read_bytes())
    assert isinstance(point, ec.EllipticCurvePublicKey)
    assert json.loads(dsse._verify(point, read))["predicateType"] == PREDICATE_TYPE


def test_the_statement_holds_what_was_measured_on_which_weights(signed: Audit):
    statement = believed(signed.statement, Signer(signed.public), LATER)
    results = schema.read(signed.folder)
    digests = {each.name: each.digest for each in statement.subject}
    assert digests["model.bin"] == {FILE: shipped(signed.weights).file, TENSORS: "ab" * 32}
    assert digests["sign"] == {FILE: shipped(signed.quantized).file}
    number = statement.predicate.measures["this model"]["sign"]["attack_accuracy"]
    measured = schema.subjects(results)[0].versions[1]["attack_accuracy"]
    assert (number["value"], number["low"], number["high"]) == (measured.value, measured.low, measured.high)
    assert statement.predicate.evidence["results.json"] == shipped(signed.folder / "results.json").file
    assert statement.predicate.policy is not None
    assert statement.predicate.policy.sha256 == shipped(signed.policy).file
    assert statement.predicate.tool == {"name": "quantmis", "version": "0.1.0"}
    assert all(outcome.within for outcome in statement.predicate.outcomes)


@pytest.mark.parametrize(
    "make",
    [
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
    ],
)
def test_keys_of_each_kind_sign_and_verify(audit: Audit, make: Callable[[], Private]):
    key, public = keys(audit.folder, "own", make())
    audit.attested(key=key)
    assert covered(audit.statement, Signer(public), audit.quantized, LATER).within


# what is covered


def test_the_weights_that_the_policy_accepts_are_covered(signed: Audit):
    coverage = signed.held()
    assert coverage.within
    assert coverage.subject == "sign"
    assert signed.held(policy=signed.policy).within


def test_weights_that_the_policy_does_not_judge_are_not(signed: Audit):
    coverage = signed.held(signed.weights)
    assert not coverage.within
    assert "it judges other versions" in coverage.reason


def test_other_weights_are_not_covered(signed: Audit, tmp_path: Path):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"others")
    assert "other weights" in signed.held(other).reason


def test_limits_that_are_exceeded_cover_nothing(audit: Audit):
    audit.policy.write_text(STRICT)
    audit.attested()
    coverage = audit.held()
    assert not coverage.within
    assert "limits.attack_accuracy_at_most" in coverage.reason


def test_a_statement_without_a_policy_covers_nothing(audit: Audit):
    audit.attested(policy=None)
    assert "against no policy" in audit.held().reason


def test_another_policy_than_the_statement_s_covers_nothing(signed: Audit, tmp_path: Path):
    other = tmp_path / "policy.toml"
    other.write_text(POLICY + "\n")
    assert "against another policy" in signed.held(policy=other).reason


def test_the_same_tensors_in_another_file_are_covered(audit: Audit):
    import numpy as np
    from safetensors.numpy import save_file

    first, second = audit.folder / "a.safetensors", audit.folder / "b.safetensors"
    for path, note in ((first, "one"), (second, "two")):
        save_file({"w": np.arange(6, dtype=np.float32)}, path, {"note": note})
    ships = shipped(first)
    assert ships.tensors is not None
    audit.write(of_weights(name="a.safetensors", file=ships.file, digest=ships.tensors))
    audit.policy.write_text(POLICY.replace("sign", "identity"))
    audit.attested()
    assert shipped(second).file != ships.file
    assert audit.held(second).within


# nothing that was changed is believed


@settings(max_examples=60, deadline=None)
@given_any(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_bit_of_what_was_signed_can_change(signed: Audit, place: int, bit: int):
    fields = json.loads(signed.statement.read_bytes())
    payload = bytearray(base64.b64decode(fields["payload"]))
    payload[place % len(payload)] ^= 1 << bit
    changed = {**fields, "payload": base64.b64encode(bytes(payload)).decode()}
    refused(signed, json.dumps(changed).encode())


@settings(max_examples=60, deadline=None)
@given_any(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_bit_of_the_file_can_change_what_is_believed(signed: Audit, place: int, bit: int):
    content = bytearray(signed.statement.read_bytes())
    content[place % len(content)] ^= 1 << bit
    before = believed(signed.statement, Signer(signed.public), LATER)
    changed = signed.folder / "changed.json"
    changed.write_bytes(bytes(content))
    try:
        after = believed(changed, Signer(signed.public), LATER)
    except UserError:
        return
    assert after == before  # a bit of the name of the key, of a space: nothing that is signed


@settings(max_examples=60, deadline=None)
@given_any(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_bit_of_the_weights_can_change(signed: Audit, place: int, bit: int):
    content = bytearray(signed.quantized.read_bytes())
    content[place % len(content)] ^= 1 << bit
    changed = signed.folder / "changed.gguf"
    changed.write_bytes(bytes(content))
    assert not signed.held(changed).within


@settings(max_examples=30, deadline=None)
@given_any(factor=st.floats(0.1, 0.999), field=st.sampled_from(["value", "low", "high"]))
def test_no_number_of_the_statement_can_change(signed: Audit, factor: float, field: str):
    fields = json.loads(signed.statement.read_bytes())
    statement = json.loads(base64.b64decode(fields["payload"]))
    statement["predicate"]["measures"]["this model"]["sign"]["attack_accuracy"][field] *= factor
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    refused(signed, json.dumps({**fields, "payload": base64.b64encode(payload).decode()}).encode())


def refused(signed: Audit, content: bytes) -> None:
    changed = signed.folder / "changed.json"
    changed.write_bytes(content)
    with pytest.raises(UserError, match="was not signed with this key"):
        believed(changed, Signer(signed.public), LATER)


# what cannot be believed is an error, exit code 2; what is not covered is an answer, exit code 1


def gate(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["quantmis", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_exit_code_is_the_answer(audit: Audit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert gate(monkeypatch, "attest", audit.folder, "--key", audit.key, "--policy", audit.policy) == 0
    asked = ("gate", "--attestation", audit.statement, "--key", audit.public, "--weights")
    assert gate(monkeypatch, *asked, audit.quantized) == 0
    assert "covered: sign.gguf is sign" in capsys.readouterr().out
    assert gate(monkeypatch, *asked, audit.weights, "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["within"] is False
    for wrong in (
        (*asked[:3], "--key", audit.foreign, "--weights", audit.quantized),
        (*asked, audit.folder / "missing.gguf"),
        ("gate", audit.folder, *asked[1:], audit.quantized),
        ("gate", "--key", audit.public, "--weights", audit.quantized),
        (*asked, audit.quantized, "--format", "junit"),
        ("attest", audit.folder),
        ("attest", audit.folder, "--key", audit.key, "--sigstore"),
        ("attest", audit.folder, "--key", audit.key, "--days", "0"),
    ):
        assert gate(monkeypatch, *wrong) == 2, wrong
        assert "error: " in capsys.readouterr().err


def resigned(audit: Audit, **changes: Any) -> None:
    """Sign another statement with the right key, whatever it says."""
    fields = json.loads(audit.statement.read_bytes())
    statement = json.loads(base64.b64decode(fields["payload"]))
    payload = json.dumps({**statement, **changes}).encode()
    audit.statement.write_bytes(envelope.sign(payload, audit.key))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "of another tool"),
        ({"predicateType": "urn:quantmis:privacy-audit:v2"}, "has a predicate of type"),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "no in-toto Statement v1"),
        ({"subject": []}, "no statement that quantmis writes: subject"),
        ({"predicate": {}}, "no statement that quantmis writes: predicate"),
    ],
)
def test_a_signed_statement_that_means_something_else_is_refused(audit: Audit, changes: Any, message: str):
    audit.attested()
    resigned(audit, **changes)
    with pytest.raises(UserError, match=message):
        audit.held()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "no signed statement"),
        (b"[]", "no signed statement"),
        (b"\x00", "no JSON"),
        (b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}', "no in-toto statement"),
        (b'{"payload": "e31=", "payloadType": "text/plain", "signatures": []}', "not written as base64"),
        (b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}', "not signed with"),
    ],
)
def test_a_file_that_is_no_envelope_is_refused(signed: Audit, tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "statement.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        believed(path, Signer(signed.public), LATER)


def test_a_statement_outside_of_its_time_is_refused(signed: Audit):
    assert signed.held(now=NOW + timedelta(days=364)).within
    with pytest.raises(UserError, match="has expired"):
        signed.held(now=NOW + timedelta(days=366))
    with pytest.raises(UserError, match="made in the future"):
        signed.held(now=NOW - timedelta(days=1))


def certificate(key: Any, until: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = built.serial_number(1).not_valid_before(NOW - timedelta(days=9)).not_valid_after(until)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return dated.sign(key, digest).public_bytes(Encoding.PEM)


def test_an_expired_certificate_is_refused_and_a_valid_one_is_a_key(audit: Audit):
    key = ec.generate_private_key(ec.SECP256R1())
    private, _ = keys(audit.folder, "certified", key)
    audit.attested(key=private)
    paper = audit.folder / "signer.crt"
    paper.write_bytes(certificate(key, LATER + timedelta(days=1)))
    assert covered(audit.statement, Signer(paper), audit.quantized, LATER).within
    with pytest.raises(UserError, match="is not valid now"):
        covered(audit.statement, Signer(paper), audit.quantized, LATER + timedelta(days=2))


def test_keys_of_other_kinds_are_refused(audit: Audit):
    private, public = keys(audit.folder, "rsa", rsa.generate_private_key(65537, 2048))
    for path in (private, audit.public, audit.quantized):
        with pytest.raises(UserError, match="key"):
            audit.attested(key=path)
    audit.attested()
    for path in (public, audit.key, audit.quantized):
        with pytest.raises(UserError, match="key"):
            covered(audit.statement, Signer(path), audit.quantized, LATER)


def test_a_key_with_a_password_takes_it_from_the_environment(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = keys(audit.folder, "locked", key)
    locked = BestAvailableEncryption(b"open sesame")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    with pytest.raises(UserError, match="no private key") as raised:
        audit.attested(key=private)
    assert envelope.PASSWORD in str(raised.value.hint)
    monkeypatch.setenv(envelope.PASSWORD, "open sesame")
    audit.attested(key=private)
    assert covered(audit.statement, Signer(public), audit.quantized, LATER).within


@pytest.mark.parametrize("trusted", [{}, {"identity": "me"}, {"issuer": "https://issuer"}])
def test_somebody_must_be_trusted(trusted: dict[str, str]):
    with pytest.raises(UserError, match="whose signature is trusted"):
        Signer(**trusted)


# what can be attested


def test_an_audit_without_weights_has_nothing_to_attest(audit: Audit):
    audit.write(audited())
    with pytest.raises(UserError, match="no weights to make a statement about"):
        audit.attested()


def test_an_edited_audit_is_not_attested(audit: Audit):
    path = audit.folder / "results.json"
    path.write_bytes(path.read_bytes().replace(b'"DigitsMLP"', b'"Other"'))
    with pytest.raises(UserError, match="was edited"):
        audit.attested()


def test_a_table_that_is_not_the_measured_one_is_not_attested(audit: Audit):
    table = audit.folder / "tables" / "8.npz"
    table.parent.mkdir()
    table.write_bytes(b"no table")
    with pytest.raises(UserError, match="cannot be vouched for"):
        audit.attested()


def test_a_version_that_the_audit_made_is_named_by_its_codes(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    from quantmis.gate import attesting

    (audit.folder / "tables").mkdir()
    (audit.folder / "tables" / "8.npz").write_bytes(b"")
    monkeypatch.setattr(attesting, "_fingerprint", lambda *_: "ee" * 32)
    audit.attested()
    subjects = believed(audit.statement, Signer(audit.public), LATER).subject
    assert {each.name: each.digest for each in subjects}["identity"] == {CODES: "ee" * 32}


def test_a_statement_that_the_library_of_in_toto_refuses_is_not_written(signed: Audit):
    statement = believed(signed.statement, Signer(signed.public), LATER)
    with pytest.raises(ValueError, match="Predicate type"):
        statement.model_copy(update={"predicate_type": ""}).to_bytes()
    assert Statement.model_validate_json(statement.to_bytes()) == statement


@pytest.mark.parametrize("package", ["in_toto_attestation.v1.statement", "securesystemslib.dsse"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, package: str
):
    import quantmis.attestation

    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "quantmis.attestation.envelope")
    monkeypatch.delattr(quantmis.attestation, "envelope")
    with pytest.raises(UserError, match="statements need") as raised:
        audit.attested()
    assert "quantmis[attest]" in str(raised.value.hint)


def test_a_bundle_that_sigstore_verifies_is_believed_as_a_signed_statement_is(
    signed: Audit, monkeypatch: pytest.MonkeyPatch
):
    from sigstore import models
    from sigstore.verify import verifier

    payload = envelope.envelope_of(signed.statement.read_bytes(), "it").payload
    kinds = [envelope.PAYLOAD_TYPE, "text/plain"]

    class Verifier:
        @staticmethod
        def production(offline: bool) -> "Verifier":
            assert offline  # the trust root of the package: no network
            return Verifier()

        def verify_dsse(self, bundle: object, policy: Any) -> tuple[str, bytes]:
            assert (policy._identity, bundle) == ("me@example.org", "bundle")
            return kinds.pop(0), payload

    monkeypatch.setattr(models.Bundle, "from_json", lambda _: "bundle")
    monkeypatch.setattr(verifier, "Verifier", Verifier)
    signer = Signer(identity="me@example.org", issuer="https://issuer")
    assert covered(signed.statement, signer, signed.quantized, LATER).within
    with pytest.raises(UserError, match="holds 'text/plain'"):
        covered(signed.statement, signer, signed.quantized, LATER)


# Sigstore


def test_sigstore_without_its_package_says_what_installs_it(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sigstore.oidc", None)
    with pytest.raises(UserError, match=r"Sigstore needs the package sigstore\.oidc") as raised:
        audit.attested(key=None, by_sigstore=True)
    assert "quantmis[sigstore]" in str(raised.value.hint)


def test_sigstore_without_the_network_says_so(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    from sigstore import models

    def unreachable() -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(models.ClientTrustConfig, "production", unreachable)
    with pytest.raises(UserError, match=r"could not sign: OSError: Name or service") as raised:
        audit.attested(key=None, by_sigstore=True)
    assert "needs the network" in str(raised.value.hint)
    assert not audit.statement.exists()


def test_what_is_no_bundle_of_sigstore_is_refused(signed: Audit):
    with pytest.raises(UserError, match="was not verified by Sigstore"):
        sigstore.verified(signed.statement.read_bytes(), "me@example.org", "https://issuer", "attestation.json")


# quick, and without torch

PROGRAM = """
import sys
from quantmis.cli.app import main
sys.argv = ["quantmis", *sys.argv[1:]]
try:
    main()
finally:
    names = {"torch", "scipy", "scipy.special", "scipy.sparse", "sklearn", "matplotlib", "jinja2", "quantmis.results"}
    heavy = names & set(sys.modules)
    print("heavy:", *sorted(heavy), file=sys.stderr)
"""


def ran(*arguments: object) -> tuple[subprocess.CompletedProcess[str], float]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    begun = time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    process = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    return process, time.perf_counter() - begun


def test_a_statement_is_checked_without_torch_or_scipy(audit: Audit):
    attest(StatementRequest(audit.folder, audit.key, policy=audit.policy), datetime.now(UTC))
    asked = ("gate", "--attestation", audit.statement, "--key", audit.public, "--weights", audit.quantized)
    process, _ = ran(*asked)
    assert process.returncode == 0, process.stderr
    assert "heavy:\n" in process.stderr


def test_attesting_loads_neither_torch_nor_what_draws_reports_nor_the_parts_of_scipy(audit: Audit):
    process, _ = ran("attest", audit.folder, "--key", audit.key, "--policy", audit.policy)
    assert process.returncode == 0, process.stderr
    assert process.stderr.split("heavy:")[1].split() == ["quantmis.results", "scipy"]  # scipy's parts come when called
    process, _ = ran("attest", "--help")
    assert "heavy:\n" in process.stderr


def test_an_answer_is_written_in_the_formats_there_are():
    coverage = Coverage(False, "a.gguf", "ab" * 32, "attestation.json", "why")
    assert written(coverage, "text").startswith("NOT COVERED: a.gguf")
    assert json.loads(written(coverage, "json"))["reason"] == "why"
    with pytest.raises(UserError, match="text or json"):
        written(coverage, "junit")
