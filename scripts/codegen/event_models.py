"""Source of event_models.py: the generated model class of each stream event, by event type."""

from __future__ import annotations

from collections.abc import Mapping

from openapi_python_client.strings import snake_case

from .client_generator import GeneratedClient
from .contract import Contract
from .errors import GenerationError
from .event_unions import event_unions

_HEAD = '''"""Model classes of stream events, by event type."""

from collections.abc import Mapping
from typing import Final, TypeAlias

'''
_UNION = '''
{alias}: TypeAlias = {classes}

{table}: Final[Mapping[str, type[{alias}]]] = {{{rows}}}
"""Event type → model class, for every member of `{union}`."""
'''


def event_models_module(contract: Contract, client: GeneratedClient) -> str:
    """Return the source of event_models.py: `TASK_EVENT_MODELS` for the union `TaskEvent`, and so on."""
    imports: set[str] = set()
    tables: list[str] = []
    for union, members in event_unions(contract).items():
        classes = {event_type: client.classes[component] for event_type, component in members.items()}
        if missing := [class_.name for class_ in classes.values() if class_.name not in client.attributes]:
            raise GenerationError(f"{', '.join(missing)}: a member of {union} must be an object")
        imports |= {f"from .models.{class_.module_name} import {class_.name}" for class_ in classes.values()}
        tables.append(_table(union, {event_type: class_.name for event_type, class_ in classes.items()}))
    return _HEAD + "\n".join(sorted(imports)) + "\n" + "\n".join(tables)


def _table(union: str, classes: Mapping[str, str]) -> str:
    return _UNION.format(
        alias=f"{union}Model",
        classes=" | ".join(classes.values()),
        table=f"{snake_case(union).upper()}_MODELS",
        rows=", ".join(f"{event_type!r}: {name}" for event_type, name in classes.items()),
        union=union,
    )
