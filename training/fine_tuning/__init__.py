"""A whole training: the epochs, what is observed, several seeds."""
