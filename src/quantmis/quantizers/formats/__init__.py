"""Files that other tools wrote, read into the record without those tools."""

from quantmis.quantizers.formats.artefact import Artefact, read, recognised, restore

__all__ = ["Artefact", "read", "recognised", "restore"]
