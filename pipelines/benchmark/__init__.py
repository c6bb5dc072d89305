"""For the benchmark only: other pipelines over the same weights, and invented notes."""
