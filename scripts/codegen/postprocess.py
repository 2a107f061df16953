"""Corrections to the code that openapi-python-client's own templates write.

Each replacement has an expected number of occurrences per file. Any other number means that the generator has changed.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from .errors import GenerationError

_FUTURE = "from __future__ import annotations\n\n"
_UNSET = """class Unset:
    def __bool__(self) -> Literal[False]:
        return False
"""
_UNSET_SINGLETON = (
    _UNSET
    + """
    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"

    def __copy__(self) -> "Unset":
        return self

    def __deepcopy__(self, memo: object) -> "Unset":
        return self
"""
)


@frozen
class _Replacement:
    files: str
    old: str
    new: str
    occurrences: int = 1


_REPLACEMENTS = (
    # http.HTTPStatus has no 529.
    _Replacement("api/*/[!_]*.py", "HTTPStatus(response.status_code)", "response.status_code"),
    _Replacement("types.py", "status_code: HTTPStatus", "status_code: int"),
    # Importing httpx takes longer than all the rest: endpoints need it for annotations, clients once they are used.
    *(
        replacement
        for files, start in (("api/*/[!_]*.py", "def _get_kwargs("), ("client.py", "@define\nclass Client:"))
        for replacement in (
            _Replacement(files, "import httpx\n", ""),
            _Replacement(files, "\nfrom typing import Any", f"\n{_FUTURE}from typing import TYPE_CHECKING, Any"),
            _Replacement(files, f"\n\n{start}", f"\nif TYPE_CHECKING:\n    import httpx\n\n\n{start}"),
        )
    ),
    _Replacement("client.py", "import ssl\n", ""),
    _Replacement("client.py", "    import httpx\n\n\n@", "    import ssl\n\n    import httpx\n\n\n@"),
    *(
        _Replacement("client.py", f"{made}(\n", f"{made}(\n".replace("self", "import httpx\n\n            self", 1), 2)
        for made in ("self._client = httpx.Client", "self._async_client = httpx.AsyncClient")
    ),
    # Generated code tests `is not UNSET`, which must also hold in unpickled and copied models.
    _Replacement("types.py", _UNSET, _UNSET_SINGLETON),
    # Keep secrets out of reprs, and so out of logs and tracebacks.
    _Replacement("client.py", "    token: str\n", "    token: str = field(repr=False)\n"),
    *(
        _Replacement("client.py", f'alias="{alias}")', f'alias="{alias}", repr=False)', occurrences=2)
        for alias in ("cookies", "headers", "httpx_args")
    ),
)


def postprocess(package: Path) -> None:
    """Apply every correction. Raises GenerationError if the code to replace is not as expected."""
    for replacement in _REPLACEMENTS:
        paths = sorted(package.glob(replacement.files))
        if not paths:
            raise GenerationError(f"no file {replacement.files} was generated")
        for path in paths:
            text = path.read_text(encoding="utf-8")
            found = text.count(replacement.old)
            if found != replacement.occurrences:
                raise GenerationError(
                    f"{path.relative_to(package)}: found {replacement.old!r} {found} times, "
                    f"not {replacement.occurrences}: adapt scripts/codegen/postprocess.py to the generator or template"
                )
            path.write_text(text.replace(replacement.old, replacement.new), encoding="utf-8")
