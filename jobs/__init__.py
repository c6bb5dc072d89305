"""The command line, the session and the wiring: one file per job, no logic."""
