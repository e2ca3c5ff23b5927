"""Statements signed by Sigstore: by an identity rather than by a key, in a public log; it needs the network.

Who signs proves who they are to an OpenID provider, in CI without a question, else in a browser. The bundle that is
written holds the certificate, the log's receipt and the envelope, so that it is checked without the network.
"""

from typing import Any

from quantmis.attestation.statement import PAYLOAD_TYPE, Statement
from quantmis.errors import UserError, require

EXTRA = "pip install 'quantmis[sigstore]'"


def sign(statement: Statement) -> bytes:
    """Return the bundle around a statement, signed by whoever runs this; `UserError` without the network."""
    oidc, models, signing, dsse = _library("sigstore.oidc", "sigstore.models", "sigstore.sign", "sigstore.dsse")
    try:
        trust = models.ClientTrustConfig.production()
        context = signing.SigningContext.from_trust_config(trust)
        token = oidc.detect_credential()
        address = trust.signing_config.get_oidc_url()
        identity = oidc.IdentityToken(token) if token else oidc.Issuer(address).identity_token()
        with context.signer(identity) as signer:
            return signer.sign_dsse(dsse.Statement(statement.to_bytes())).to_json().encode() + b"\n"
    except Exception as error:  # of the network, of the provider, of the trust root: the library has many
        why = f"{type(error).__name__}: {error}"
        hint = "it needs the network and an OpenID identity; --key signs with a file instead"
        raise UserError(f"Sigstore could not sign: {why[:300]}", hint=hint) from error


def verified(content: bytes, identity: str, issuer: str, source: str) -> bytes:
    """Return the payload of a bundle that this identity of that issuer signed; `UserError` for another."""
    models, verifier, policy = _library("sigstore.models", "sigstore.verify.verifier", "sigstore.verify.policy")
    try:
        bundle = models.Bundle.from_json(content)
        checking = verifier.Verifier.production(offline=True)
        kind, payload = checking.verify_dsse(bundle, policy.Identity(identity=identity, issuer=issuer))
    except Exception as error:  # what is no bundle, and what does not verify, in the words of the library
        why = f"{type(error).__name__}: {error}"
        hint = f"it must be a bundle that {identity} signed by way of {issuer}"
        raise UserError(f"{source} was not verified by Sigstore: {why[:300]}", hint=hint) from error
    require(kind == PAYLOAD_TYPE, f"{source} holds {kind!r}, no in-toto statement", hint="quantmis attest writes one")
    return payload


def _library(*modules: str) -> list[Any]:
    from importlib import import_module

    try:
        return [import_module(name) for name in modules]
    except ImportError as error:
        raise UserError(f"Sigstore needs the package {error.name}", hint=EXTRA) from error
