"""Offline model: rules in place of a language model, without key and network."""
