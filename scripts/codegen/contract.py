"""Reading the contract: the YAML as plain data, and questions to its schemas."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .errors import GenerationError

Schema = Mapping[str, Any]
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Contract:
    """An OpenAPI document; `document` is its plain data."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Raises GenerationError when the file cannot be read as a YAML mapping."""
        try:
            document = YAML(typ="safe").load(path.read_bytes())
        except (OSError, YAMLError) as error:
            raise GenerationError(f"cannot read {path}: {error}") from error
        if not isinstance(document, dict):
            raise GenerationError(f"{path} is not an OpenAPI document")
        return cls(document)

    def check_references(self) -> None:
        """Raises GenerationError, naming it, for a `$ref` that points to nothing in the document."""
        nodes: list[Any] = [self.document]
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                if isinstance(node.get("$ref"), str):
                    self._at(node["$ref"])
                nodes.extend(node.values())
            elif isinstance(node, list):
                nodes.extend(node)

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The component schemas, by name."""
        found: Mapping[str, Schema] = self.document.get("components", {}).get("schemas", {})
        return found

    def operations(self) -> Iterator[Mapping[str, Any]]:
        """Every operation, in the document's order."""
        for item in self.document.get("paths", {}).values():
            yield from (item[method] for method in _METHODS if method in item)

    def follow(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """`node` with its `$ref`s followed; what stands beside a `$ref` wins."""
        seen: set[str] = set()
        while "$ref" in node:
            reference = node["$ref"]
            if reference in seen:
                raise GenerationError(f"{reference} refers to itself")
            seen.add(reference)
            node = {**self._at(reference), **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def properties(self, schema: Schema) -> dict[str, Schema]:
        """The properties of an object schema, those of its `allOf` included."""
        schema = self.follow(schema)
        merged: dict[str, Schema] = {}
        for part in schema.get("allOf", ()):
            merged |= self.properties(part)
        merged |= schema.get("properties", {})
        return merged

    def required(self, schema: Schema) -> set[str]:
        """The names of the required properties of an object schema, those of its `allOf` included."""
        schema = self.follow(schema)
        parts = schema.get("allOf", ())
        return set(schema.get("required", ())).union(*(self.required(part) for part in parts))

    def _at(self, reference: str) -> Mapping[str, Any]:
        node: Any = self.document
        if not reference.startswith("#/"):
            raise GenerationError(f"{reference} points out of the document")
        for key in reference[2:].split("/"):
            try:
                node = node[key.replace("~1", "/").replace("~0", "~")]
            except (KeyError, TypeError) as error:
                raise GenerationError(f"{reference} points to nothing") from error
        if not isinstance(node, Mapping):
            raise GenerationError(f"{reference} does not point to an object")
        return node


def component_name(schema: Schema) -> str | None:
    """`Name` when `schema` is a reference to `#/components/schemas/Name`."""
    reference: str = schema.get("$ref", "")
    prefix = "#/components/schemas/"
    return reference.removeprefix(prefix) if reference.startswith(prefix) else None
