"""What a model package is, and the checks before it is used."""
