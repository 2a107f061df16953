"""Validates the contract against the OpenAPI 3.1 schema, and says in one line each what is wrong and where."""

import sys
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from codegen.contract import Contract
from codegen.errors import GenerationError

SPEC = Path(__file__).resolve().parent.parent / "openapi" / "claude-code-api.yaml"


def main() -> int:
    """The exit status: 1 when the contract is not valid."""
    try:
        contract = Contract.load(SPEC)
        contract.check_references()
    except GenerationError as error:
        found = [str(error)]
    else:
        found = [
            f"#/{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in OpenAPIV31SpecValidator(contract.document).iter_errors()
        ]
    if found:
        print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
