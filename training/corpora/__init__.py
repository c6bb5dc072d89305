"""Annotated documents: reading a corpus, mixing several, counting what they hold."""
