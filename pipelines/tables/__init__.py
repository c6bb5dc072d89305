"""Where the tables are, what they hold, and how a note's rows are replaced."""
