"""How scripts/generate.py makes generated/claude_code_api out of the contract."""
