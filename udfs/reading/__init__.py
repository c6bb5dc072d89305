"""CSV and text files, read exactly."""
