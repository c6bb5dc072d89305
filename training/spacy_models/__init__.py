"""Recognisers of spaCy: training them, and pipelines of spaCy into packages."""
