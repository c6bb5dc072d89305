"""Arrow batches in and out: the stages that Spark calls."""
