"""Text before the model: windows of a note, and keyed hashes."""
