"""Encoders to start from, and training them on masked words."""
