"""The contract as other generators read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from support.code_blocks import ROOT

CONTRACT: dict[str, Any] = YAML(typ="safe").load(ROOT / "openapi" / "claude-code-api.yaml")


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of the document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def test_every_constant_has_a_type() -> None:
    """Without types, clients of openapi-generator decode hardly any event."""
    constants = [node for node in nodes(CONTRACT) if isinstance(node.get("const"), str)]
    assert len(constants) >= 10
    assert {node.get("type") for node in constants} == {"string"}


def test_links_of_a_new_task_lead_to_its_operations() -> None:
    paths = {operation["operationId"]: path for path, item in CONTRACT["paths"].items() for operation in item.values()}
    for response in ("200", "202"):
        links = CONTRACT["paths"]["/task"]["post"]["responses"][response]["links"]
        assert set(links) == {"get_task", "stream_task_events", "cancel_task", "download_artifact"}
        for link in links.values():
            path = paths[link["operationId"]]
            assert path.format_map(link["parameters"]).startswith("/task/$response.body#/id")
            assert path.count("{") == len(link["parameters"])
