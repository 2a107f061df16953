"""Sources of settings: flags win over variables, variables over the settings file, and that over the defaults."""

from __future__ import annotations

import argparse
import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .bootstrap import StartError
from .option_types import PATH, SWITCH
from .options import OPTIONS, VARIABLE_PREFIX, Option

_CONFIG: Final = "config"
_CONFIG_VARIABLE: Final = f"{VARIABLE_PREFIX}CONFIG"
_EPILOG: Final = (
    f"Each option can also be set by a variable, such as {VARIABLE_PREFIX}PORT for --port, or by name in a TOML file"
    " that --config names. Flags win over variables, and variables over the file."
)


class _NotAListError(ValueError):
    """A setting that may have several values is not a list."""


def read_options(argv: Sequence[str], environment: Mapping[str, str], prog: str, description: str) -> Any:
    """Return a namespace with a value for each of OPTIONS.

    Raise StartError for a value that a variable or the file gives wrongly, and SystemExit for wrong flags.
    """
    flags = vars(_parser(prog, description).parse_args(argv))
    config = flags[_CONFIG] or environment.get(_CONFIG_VARIABLE)
    in_file = _read_file(Path(config)) if config else {}
    in_environment = dict(_read_environment(environment))
    values = {}
    for option in OPTIONS:
        sources = (flags[option.attribute], in_environment.get(option.name), in_file.get(option.name))
        values[option.attribute] = next((value for value in sources if value is not None), option.default)
    return argparse.Namespace(**values)


def unknown_variables(environment: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like a setting, but is none."""
    known = {_CONFIG_VARIABLE, *(option.variable for option in OPTIONS)}
    for name in sorted(environment):
        if name.startswith(VARIABLE_PREFIX) and name not in known and (similar := _similar(name, known)):
            yield f"{name} is not a setting of the server, and was ignored; did you mean {similar}?"


def _parser(prog: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description, epilog=_EPILOG)
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings, by the names of these options")
    for option in OPTIONS:
        text = option.help.format(default=option.default).replace("%", "%%")
        if option.type is SWITCH:
            parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(
                option.flag,
                action="append" if option.repeatable else "store",
                type=_flag_type(option),
                metavar=option.metavar,
                help=text,
            )
    return parser


def _flag_type(option: Option) -> Any:
    def parse(text: str) -> Any:
        try:
            return option.type.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(_reason(option, error)) from None

    return parse


def _read_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for option in OPTIONS:
        text = environment.get(option.variable)
        if text is None or not text.strip():
            continue
        try:
            if option.repeatable:
                yield option.name, [option.type.parse(part.strip()) for part in text.split(",")]
            else:
                yield option.name, option.type.parse(text.strip())
        except ValueError as error:
            raise StartError(f"{option.variable} {_reason(option, error)}") from None


def _read_file(path: Path) -> dict[str, Any]:
    """Return the values in a settings file. Relative paths are relative to the file's directory."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(f"{text}\n")  # with a last line that has a number, for error messages
    except (OSError, ValueError) as error:
        raise StartError(f"cannot use the settings file {path}: {error}") from None
    by_name = {option.name: option for option in OPTIONS}
    values = {}
    for name, value in data.items():
        option = by_name.get(name)
        if option is None:
            similar = _similar(name, by_name)
            hint = f"; did you mean {similar}?" if similar else ": see serve --help"
            raise _wrong_line(path, text, name, f"is not a setting{hint}")
        try:
            values[name] = _parse_native(option, value, path.parent)
        except ValueError as error:
            raise _wrong_line(path, text, name, _reason(option, error)) from None
    return values


def _parse_native(option: Option, value: object, directory: Path) -> Any:
    if option.repeatable:
        if not isinstance(value, list):
            raise _NotAListError("must be a list")
        return [option.type.parse_native(item) for item in value]
    parsed = option.type.parse_native(value)
    return directory / parsed.expanduser() if option.type is PATH else parsed


def _wrong_line(path: Path, text: str, name: str, reason: str) -> StartError:
    return StartError(f"{path}, line {_line_of(text, name)}: {name} {reason}")


def _line_of(text: str, name: str) -> int:
    """Return the number of the line on which a valid TOML document defines a name at its top level."""
    definition = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    lines = text.splitlines()
    for index, line in enumerate(lines):
        # What looks like the definition may be part of a text of several lines, which then has no end before it.
        if definition.match(line) and _is_toml("\n".join(lines[:index])):
            return index + 1
    return 1


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def _reason(option: Option, error: ValueError) -> str:
    """Return the reason of an error, without the value if it is secret."""
    return f"must be {option.type.expected}" if option.secret and not isinstance(error, _NotAListError) else str(error)


def _similar(name: str, known: Collection[str]) -> str | None:
    candidates = difflib.get_close_matches(name.replace("_", "-") if name.islower() else name, known, 1, 0.6)
    return candidates[0] if candidates else None
