"""Turning a token classifier that others trained into a package of ours."""
