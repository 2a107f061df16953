"""What the offline model says about itself."""

from claude_code_server.offline.moves import Request

NOTE = "(Offline model: rule-based, not a language model.)"
_REAL = "For a real model set ANTHROPIC_API_KEY, or start the server with --upstream and the URL of one."
ABOUT = (
    "This is the offline model of the embedded server: it follows rules, is not a language model, and cannot "
    f"answer questions. {_REAL}"
)
_ABLE = (
    "It can count files of a kind, list them, search for a text, summarise a file or look for TODOs, and "
    "write a short Markdown document about a file; put names with spaces in quotes."
)


def not_understood(request: Request) -> str:
    """For a request that no rule matches."""
    shown = request.text if len(request.text) <= 200 else f"{request.text[:200]}…"
    return f'The offline model (rule-based, not a language model) has no rule for "{shown}". {_ABLE} {_REAL}'


def needs_tool(what: str, request: Request, *names: str) -> str:
    """For a request that no granted tool can serve."""
    granted = ", ".join(sorted(request.tools)) or "none"
    wanted = f"the {names[0]} tool" if len(names) == 1 else f"one of the tools {', '.join(names)}"
    return f"{what} needs {wanted}; granted: {granted}. Nothing was done."


def beyond_rules(goal: str) -> str:
    """For a judgement that was asked for and that rules cannot give."""
    return f'Judging "{goal}" needs a language model: this only reports what the tools returned. {_REAL}'
