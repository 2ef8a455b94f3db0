"""What the types of this package are made of."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

EXACT: Final = ConfigDict(extra="forbid")

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
