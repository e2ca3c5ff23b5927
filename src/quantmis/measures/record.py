"""A record of results.json."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Refuse fields that the schema does not know, and changes after the fact."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
