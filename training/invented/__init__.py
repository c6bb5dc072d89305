"""Invented corpora in the form of real ones that need an agreement."""
