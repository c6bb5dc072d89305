"""What a run will cost, from a sample of its notes."""
