"""Examples of the page on upstreams."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.code_blocks import blocks

from claude_code_server.domain.price_file import parse_price_file
from claude_code_server.domain.upstream_rules import parse_rules
from claude_code_server.process.option_sources import read_options

BLOCKS = blocks("docs/upstreams.md")


def toml(word: str) -> str:
    [code] = [block.code for block in BLOCKS if block.language == "toml" and word in block.code]
    return code


def test_the_settings_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text(toml("upstream ="))
    options = read_options(["--config", str(file)], {}, "serve", "")
    assert [rule.pattern for rule in parse_rules(options.upstream, [])] == ["sonnet", "local-*"]


def test_the_prices_are_accepted() -> None:
    catalog = parse_price_file(toml("[models"))
    large, small = catalog.find("local-large"), catalog.find("local-small")
    assert large is not None
    assert large.price.long_context is not None
    assert large.price.long_context.cache_read == pytest.approx(0.06)
    assert small is not None
    assert small.price.base.input == 0
