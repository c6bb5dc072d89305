"""MLflow: runs, parameters, metrics and the registry."""
