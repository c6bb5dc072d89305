"""Rows for Spark NLP, and its answers back into predictions."""
