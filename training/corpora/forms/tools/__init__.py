"""Annotation forms that annotation tools and libraries write."""
