"""What a job takes and how it ends: options, values of a source, exit codes."""
