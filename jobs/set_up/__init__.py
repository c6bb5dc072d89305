"""Commands behind `make setup` and `make spark-nlp`: jars and defaults into a lane's Spark."""
