"""What the generator's own templates get wrong for this client, put right in what they wrote.

Each rewrite says how often it must apply to a file; anything else means that the generator has changed.
"""

from dataclasses import dataclass
from pathlib import Path

from .errors import GenerationError

_UNSET = """class Unset:
    def __bool__(self) -> Literal[False]:
        return False
"""
_UNSET_KEEPING_ITS_IDENTITY = (
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


@dataclass(frozen=True)
class _Rewrite:
    files: str
    old: str
    new: str
    times: int = 1


_REWRITES = (
    # http.HTTPStatus has no 529.
    _Rewrite("api/*/[!_]*.py", "HTTPStatus(response.status_code)", "response.status_code"),
    _Rewrite("types.py", "status_code: HTTPStatus", "status_code: int"),
    # Generated code asks `is not UNSET`, also of models that were pickled or copied.
    _Rewrite("types.py", _UNSET, _UNSET_KEEPING_ITS_IDENTITY),
    # No secret in a repr, and so in no log or traceback.
    _Rewrite("client.py", "    token: str\n", "    token: str = field(repr=False)\n"),
    *(
        _Rewrite("client.py", f'alias="{alias}")', f'alias="{alias}", repr=False)', times=2)
        for alias in ("cookies", "headers", "httpx_args")
    ),
)


def rewrite(package: Path) -> None:
    """Applies every rewrite. Raises GenerationError when a place is not as expected."""
    for change in _REWRITES:
        paths = sorted(package.glob(change.files))
        if not paths:
            raise GenerationError(f"no file {change.files} was generated")
        for path in paths:
            text = path.read_text(encoding="utf-8")
            found = text.count(change.old)
            if found != change.times:
                raise GenerationError(
                    f"{path.relative_to(package)}: found {change.old!r} {found} times, not {change.times}"
                )
            path.write_text(text.replace(change.old, change.new), encoding="utf-8")
