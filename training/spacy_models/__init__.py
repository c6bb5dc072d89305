"""Recognisers of spaCy: training them, and turning pipelines of spaCy into packages."""
