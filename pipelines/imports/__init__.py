"""MIMIC's own files into a Delta table of notes."""
