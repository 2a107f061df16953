"""The contract: the OpenAPI document as plain data, with lookups into its schemas and operations."""

from __future__ import annotations

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
    def load(cls, path: Path) -> Contract:
        """Read the document. Raises GenerationError unless the file is a YAML mapping."""
        try:
            document = YAML(typ="safe").load(path.read_bytes())
        except (OSError, YAMLError) as error:
            raise GenerationError(f"cannot read {path}: {error}") from error
        if not isinstance(document, dict):
            raise GenerationError(f"{path} is not an OpenAPI document")
        return cls(document)

    def check_references(self) -> None:
        """Raise GenerationError for the first `$ref` without a target in the document."""
        for _, node in self.nodes():
            if isinstance(node.get("$ref"), str):
                self._resolve(node["$ref"])

    def nodes(self) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
        """Yield every mapping of the document with its path."""
        pending: list[tuple[tuple[str, ...], Any]] = [((), self.document)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, dict):
                yield path, node
                pending.extend(((*path, str(key)), child) for key, child in node.items())
            elif isinstance(node, list):
                pending.extend(((*path, str(index)), child) for index, child in enumerate(node))

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The component schemas, by name."""
        schemas: Mapping[str, Schema] = self.document.get("components", {}).get("schemas", {})
        return schemas

    def operations(self) -> Iterator[Mapping[str, Any]]:
        """Yield every operation in document order, together with the parameters of its path."""
        for item in self.document.get("paths", {}).values():
            for method in _METHODS:
                if method in item:
                    parameters = [*item.get("parameters", ()), *item[method].get("parameters", ())]
                    yield {**item[method], "parameters": parameters}

    def follow(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `node` with its `$ref`s resolved; keys beside a `$ref` take precedence."""
        seen: set[str] = set()
        while "$ref" in node:
            reference = node["$ref"]
            if reference in seen:
                raise GenerationError(f"{reference} refers to itself")
            seen.add(reference)
            node = {**self._resolve(reference), **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def properties(self, schema: Schema) -> dict[str, Schema]:
        """Return the properties of an object schema, including those from its `allOf`."""
        schema = self.follow(schema)
        merged: dict[str, Schema] = {}
        for part in schema.get("allOf", ()):
            merged |= self.properties(part)
        merged |= schema.get("properties", {})
        return merged

    def required(self, schema: Schema) -> set[str]:
        """Return the names of an object schema's required properties, including those from its `allOf`."""
        schema = self.follow(schema)
        parts = schema.get("allOf", ())
        return set(schema.get("required", ())).union(*(self.required(part) for part in parts))

    def request_components(self) -> list[str]:
        """Return the sorted names of the component schemas that request bodies consist of."""
        found: set[str] = set()

        def visit(schema: Schema) -> None:
            name = component_name(schema)
            if name is not None:
                if name in found:
                    return
                found.add(name)
            schema = self.follow(schema)
            for child in self.properties(schema).values():
                visit(child)
            for key in ("allOf", "oneOf", "anyOf"):
                for child in schema.get(key, ()):
                    visit(child)
            for key in ("items", "additionalProperties"):
                if isinstance(schema.get(key), Mapping):
                    visit(schema[key])

        for operation in self.operations():
            if "requestBody" in operation:
                for media_type in self.follow(operation["requestBody"])["content"].values():
                    visit(media_type.get("schema", {}))
        return sorted(found)

    def _resolve(self, reference: str) -> Mapping[str, Any]:
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
    """Return `Name` for a reference to `#/components/schemas/Name`, else None."""
    reference: str = schema.get("$ref", "")
    prefix = "#/components/schemas/"
    return reference.removeprefix(prefix) if reference.startswith(prefix) else None
