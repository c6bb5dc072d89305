"""The production path of one note: merging, the list of steps, its fingerprint."""
