"""Commands behind `make setup`, `make spark-nlp` and `make docs`: jars, defaults, column docs."""
