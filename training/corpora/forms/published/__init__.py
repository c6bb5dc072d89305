"""Annotation forms in which published corpora come."""
