"""Benchmarks: each module answers one question and writes JSON. See each docstring."""
