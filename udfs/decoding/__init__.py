"""From tags and probabilities to spans and scores."""
