"""Writing a model package, its card, its exports, its publication."""
