"""Parts of the benchmark: its inputs, one timed run, memory by process, tables and plots."""
