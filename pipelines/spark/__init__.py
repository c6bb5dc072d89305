"""What is Spark's and nobody else's: names, errors, retries, slots, caching, work side by side."""
