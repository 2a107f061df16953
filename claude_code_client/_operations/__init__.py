"""Decisions of each call as generators of effects. No I/O."""
