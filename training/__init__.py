"""Corpora to model package, and scores; no Spark."""
