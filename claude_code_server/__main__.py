"""``python -m claude_code_server child`` and ``python -m claude_code_server serve …``."""

import sys


def main(argv: list[str]) -> int:
    match argv:
        case ["child"]:
            from .child import run_child

            return run_child()
        case ["serve", *options]:
            from .serve import run_foreground

            return run_foreground(options)
    sys.stderr.write("usage: python -m claude_code_server serve [--help] | child\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
