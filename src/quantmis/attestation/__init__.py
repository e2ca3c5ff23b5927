"""Statements about an audit that are signed, and weights that are held against them.

`statement` says what a statement holds, `envelope` signs it and checks who signed, `sigstore` does the same by
Sigstore, and `covered` holds a file of weights against one. Nothing here reads an audit or needs its folder: this is
what a registry calls. What makes a statement from an audit is `quantmis.gate.attesting`.
"""
