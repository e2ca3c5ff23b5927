"""Files that other tools wrote, read into the record without those tools."""

from quantmis.quantizers.formats.artefact import Artefact, format_of, read
from quantmis.quantizers.formats.restoring import restore

__all__ = ["Artefact", "format_of", "read", "restore"]
