"""One training step and its exact state: checkpoints, resumption, several processes."""
