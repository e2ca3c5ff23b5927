"""The entities of an audit file: what its patterns find in the texts of members, as secrets."""

from pathlib import Path
from typing import Any

import numpy as np

from quantmis.audit.config.sections import AuditFile
from quantmis.audit.config.target import sides_of
from quantmis.audit.config.texts import texts_of
from quantmis.data.entities import entity_secrets, read_patterns
from quantmis.data.paths import inside
from quantmis.data.samples import Samples
from quantmis.data.secrets import Secret
from quantmis.errors import require
from quantmis.models.packed import decoded


def entities_of(file: AuditFile, folder: Path, samples: Samples, tokenizer: Any) -> tuple[Secret, ...]:
    """Return the entities of the members among `samples`; none where no patterns are named."""
    section, target = file.secrets, file.target
    if section is None or section.entities is None or target is None:
        return ()
    patterns = read_patterns(inside(folder, section.entities, "secrets.entities"))
    texts = texts_of(file, folder, False, target.column)
    plain = "secrets.entities: what stands before an entity of a chat is written by its template, not by the file"
    require(texts.examples is None, plain, hint="name the secrets of chats in [secrets] file")
    if texts.tokens is not None:
        texts = decoded(texts, tokenizer)
    members, others = sides_of(file, target, samples, folder)[:2]
    audited = samples.names[np.concatenate([members, others])].tolist()
    by_name, is_member = dict(zip(texts.names, texts.texts, strict=True)), np.arange(len(audited)) < len(members)
    return entity_secrets(
        [by_name[name] for name in audited],
        audited,
        is_member.tolist(),
        patterns,
        section.at_most,
        section.alternatives,
    )
