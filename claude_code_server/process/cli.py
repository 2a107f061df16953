"""Command ``claude-code-client serve``: runs the server in the foreground until Ctrl-C, SIGTERM or SIGHUP."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final

from claude_code_common.loopback import is_loopback

from ..domain.api_key import new_key
from ..domain.model_catalog import ModelCatalog
from ..domain.settings import Settings
from ..domain.upstream_rules import ANY_MODEL, parse_rules
from ..runtime.json_logging import log_as_json, log_event
from . import bootstrap
from .arguments import exit_code
from .bootstrap import StartError
from .option_sources import read_options, unknown_variables
from .options import FIELDS, OPTIONS

_log = logging.getLogger(__name__)
_PROG: Final = "claude-code-client serve"
_DESCRIPTION: Final = "Serve the Claude Code API, with Claude Code working in a directory of this machine."
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLEAR_TEXT: Final = (
    "Keys travel in clear text: use --tls-cert and --tls-key, or put a proxy with TLS in front of the server."
)
_OFFLINE_NOTE: Final = " (rules instead of a language model; set ANTHROPIC_API_KEY for real models)"


def run_foreground(argv: Sequence[str]) -> int:
    """Run the server with the arguments after ``serve``.

    Return the exit code: 0 after a clean stop, 1 if the server cannot start, 2 for wrong usage.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    log_json = False
    try:
        options = read_options(argv, os.environ, _PROG, _DESCRIPTION)
        if log_json := options.log_json:
            log_as_json(sys.stderr)
        for warning in unknown_variables(os.environ):
            _log.warning("%s", warning)
        bootstrap.check_platform()
        settings = _build_settings(options)
        sock = bootstrap.bind(options.host, options.port)
        url = bootstrap.base_url(sock, tls=settings.tls_cert is not None)
        banner = _banner(settings, url, options.host)

        def announce() -> None:
            if log_json:
                log_event(_log, "ready", url=url, workspace=str(settings.workspace), upstream=settings.upstream)
            else:
                _print(banner)

        bootstrap.run_server(settings, sock, announce, signals=_SIGNALS)
    except StartError as error:
        if log_json:
            _log.error("%s", error)
        else:
            sys.stderr.write(f"{_PROG}: {error}\n")
        return 1
    except SystemExit as end:  # of the parser of flags: help, or wrong usage
        return exit_code(end)
    except KeyboardInterrupt:
        return 0
    return 0


def _build_settings(options: Any) -> Settings:
    # Removed from the environment, so that no child process inherits the keys.
    upstream_key = os.environ.pop("ANTHROPIC_API_KEY", "").strip() or None
    from_environment = os.environ.pop("CLAUDE_API_KEY", "").strip()
    for variable in (option.variable for option in OPTIONS if option.secret):
        os.environ.pop(variable, None)
    from .keys import has_active_keys  # with the store, which the help does without

    keys = options.api_key or ([from_environment] if from_environment else [])
    generated = not keys and not has_active_keys(options.state_dir)
    if options.log_json and generated:
        raise StartError(
            "with --log-json no key is shown: set CLAUDE_API_KEY to one, or create one with 'claude-code-client keys'"
        )
    workspace = bootstrap.resolve_workspace(str(options.workspace), allow_home=options.allow_home_workspace)
    bootstrap.check_state_dir(options.state_dir, workspace)
    if options.tls_key is not None and options.tls_cert is None:
        raise StartError("--tls-key needs --tls-cert")
    sandbox = not is_loopback(options.host) if options.sandbox is None else options.sandbox
    paths = bootstrap.check_sandbox(sandbox, options.allow_read, options.allow_host)
    return Settings(
        workspace=workspace,
        api_keys=(new_key(),) if generated else tuple(keys),
        **_upstreams(options, upstream_key),
        upstream_key=upstream_key,
        sandbox=sandbox,
        sandbox_paths=paths,
        sandbox_hosts=tuple(options.allow_host),
        allowed_hosts=(options.host, *options.allowed_host),
        catalog=bootstrap.read_price_file(options.prices) if options.prices else ModelCatalog(),
        **{option.attribute: getattr(options, option.attribute) for option in FIELDS},
    )


def _upstreams(options: Any, upstream_key: str | None) -> dict[str, Any]:
    """Return the fields of Settings about upstreams. Raise StartError."""
    try:
        rules = parse_rules(options.upstream, options.upstream_key)
    except ValueError as error:
        raise StartError(f"--upstream, --upstream-key: {error}") from None
    if not rules:
        return {"upstream": "anthropic" if upstream_key else "offline"}
    if [rule.pattern for rule in rules] == [ANY_MODEL] and rules[0].key is None:
        return {"upstream": rules[0].upstream}
    shown = ", ".join(f"{rule.pattern}={rule.upstream}" for rule in rules)
    return {"upstream": shown, "upstream_rules": rules}


def _banner(settings: Settings, url: str, host: str) -> str:
    note = _OFFLINE_NOTE if settings.upstream == "offline" else ""
    lines = [
        f"Claude Code API at {url}",
        f"  workspace  {settings.workspace}",
        f"  upstream   {settings.upstream}{note}",
        f"  sandbox    {_sandbox_line(settings)}",
        f"  key        {', '.join(settings.api_keys) or 'those of claude-code-client keys'}",
        "",
        f"export CLAUDE_BASE_URL={url}",
        *(f"export CLAUDE_API_KEY={key}" for key in settings.api_keys[:1]),
        "",
    ]
    if not is_loopback(host):
        lines += [
            f"WARNING: {host} is not a loopback address: anyone who reaches it with a key can run commands"
            f"{' in the sandbox' if settings.sandbox else ' as you'}.",
            *([] if settings.tls_cert else [_CLEAR_TEXT]),
            "",
        ]
    return "\n".join([*lines, "Press Ctrl-C to stop."])


def _sandbox_line(settings: Settings) -> str:
    if settings.sandbox:
        return f"on; Bash reaches the workspace and {', '.join(settings.sandbox_hosts) or 'no network'}"
    return "off; Bash reaches whatever you can: your files, your other processes and the network"


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
