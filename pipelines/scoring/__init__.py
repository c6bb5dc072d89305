"""Distinct windows, the engines that score them, and the table of what is scored."""
