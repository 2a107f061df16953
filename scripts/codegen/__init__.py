"""Code generation: from openapi/claude-code-api.yaml to generated/claude_code_api, run by scripts/generate.py."""
