"""Envelopes around statements, and the keys that sign them: DSSE, as cosign and in-toto read and write it.

https://github.com/secure-systems-lab/dsse. What is signed is not the JSON but the type and the bytes of the payload
with their lengths (PAE), so nothing between signature and statement can be read in two ways. Keys are PEM files of
Ed25519 or of ECDSA on the curves of NIST. A public key may also be a certificate, which is then held to its dates.
"""

# The library names what its package exports in no __all__.
# pyright: reportPrivateImportUsage=false

import base64
import binascii
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from quantmis.attestation.statement import PAYLOAD_TYPE
from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.tensor_files import strict_json

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
    from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
except ImportError as error:
    raise UserError(f"statements need {error.name}", hint="pip install 'quantmis[attest]'") from error

LARGEST = 10**8
PASSWORD = "QUANTMIS_KEY_PASSWORD"  # noqa: S105 the name of a variable of the environment
KEYS = "a PEM file of Ed25519 or ECDSA; openssl genpkey -algorithm ed25519 -out key.pem makes one"


def sign(payload: bytes, key: Path) -> bytes:
    """Return the envelope around a payload, signed with the private key in a PEM file."""
    signer = CryptoSigner(_private_key(key))
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1).encode() + b"\n"


def _private_key(path: Path) -> Any:
    """Return the private key of a PEM file; one with a password takes it from the environment."""
    password = os.environ.get(PASSWORD)
    try:
        key = load_pem_private_key(content_of(path, "the key", LARGEST), password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = f"name {KEYS}; a key with a password takes it from {PASSWORD}"
        raise UserError(f"{path} is no private key that can be read: {error}", hint=hint) from error
    require(isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey), f"{path} is a key of another kind", hint=KEYS)
    return key


def public_key(path: Path, now: datetime) -> SSlibKey:
    """Return the public key of a PEM file or certificate; `UserError` for one whose dates have passed."""
    content = content_of(path, "the key", LARGEST)
    try:
        key = _certified(content, path, now) if b"CERTIFICATE" in content else load_pem_public_key(content)
        require(
            isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey), f"{path} is a key of another kind", hint=KEYS
        )
        return SSlibKey.from_crypto(key)
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "name the public key: openssl pkey -in key.pem -pubout -out key.pub writes it"
        raise UserError(f"{path} is no public key that can be read: {error}", hint=hint) from error


def _certified(content: bytes, path: Path, now: datetime) -> Any:
    certificate = x509.load_pem_x509_certificate(content)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    dates = f"{begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    require(begin <= now <= end, f"the certificate {path} is not valid now: {dates}", hint="ask for another one")
    return certificate.public_key()


def envelope_of(content: bytes, source: str) -> Envelope:
    """Return the envelope that the bytes of a file are, or that a Sigstore bundle holds; `UserError` for another."""
    whole = strict_json(content, source)
    fields = whole.get("dsseEnvelope", whole) if isinstance(whole, dict) else {}
    try:
        envelope = Envelope.from_dict(fields)
        parts = [(fields["payload"], envelope.payload)]
        canonical = all(base64.b64encode(decoded).decode() == text for text, decoded in parts)
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise UserError(f"{source} is no signed statement (DSSE)", hint="quantmis attest writes one") from error
    require(canonical, f"{source} is damaged: its payload is not written as base64 is", hint="copy it again")
    kind = envelope.payload_type
    require(kind == PAYLOAD_TYPE, f"{source} holds {kind!r}, no in-toto statement", hint="quantmis attest writes one")
    return envelope


def verified(envelope: Envelope, key: SSlibKey, source: str) -> bytes:
    """Return the payload of an envelope that the holder of a key signed; `UserError` where no signature is theirs.

    The names of keys in an envelope are hints that anybody may write, and count for nothing.
    """
    for signature in envelope.signatures.values():
        try:
            key.verify_signature(Signature(key.keyid, signature.signature), envelope.pae())
        except (UnverifiedSignatureError, VerificationError):
            continue
        return envelope.payload
    hint = "it was changed after it was signed, or somebody else signed it: ask for the signer's own key"
    raise UserError(f"{source} was not signed with this key", hint=hint)
