# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from enum import StrEnum
from typing import Any, Self


class Role(StrEnum):
    """Open-ended enumeration: a value that is not listed becomes a member named `UNKNOWN`, equal to the value."""

    ASSISTANT = "assistant"
    SYSTEM = "system"
    USER = "user"

    def __str__(self) -> str:
        return str(self.value)

    def __reduce_ex__(self, protocol: Any) -> tuple[type[Self], tuple[str]]:
        return self.__class__, (str(self.value),)

    @classmethod
    def _missing_(cls, value: object) -> "Role | None":
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = str(value)
        return member
