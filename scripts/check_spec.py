"""Validate the contract against the OpenAPI 3.1 schema, and its descriptions against `x-default`."""

from __future__ import annotations

import sys
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from codegen.contract import Contract
from codegen.defaults import undocumented_defaults
from codegen.errors import GenerationError

SPEC = Path(__file__).resolve().parent.parent / "openapi" / "claude-code-api.yaml"


def main() -> int:
    """Print each problem on a line and return the exit status: 1 if the contract is not valid, else 0."""
    try:
        contract = Contract.load(SPEC)
        contract.check_references()
    except GenerationError as error:
        problems = [str(error)]
    else:
        problems = [
            f"#/{'/'.join(map(str, error.absolute_path))}: {error.message.splitlines()[0]}"
            for error in OpenAPIV31SpecValidator(contract.document).iter_errors()
        ]
        problems += undocumented_defaults(contract)
    if problems:
        print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
