"""One module for each family of corpus files: how they are read and, for some, written."""
