"""For the benchmark only: the bound of a processor, invented notes, pipelines of others."""
