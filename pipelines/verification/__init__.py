"""Whether the tables are right: checks as data, and a note against its text."""
