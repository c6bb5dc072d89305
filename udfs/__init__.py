"""What runs on an executor: plain Python over text, Arrow and NumPy. Never imports pyspark."""
