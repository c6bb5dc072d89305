"""From settings to working parts: the session, the engine, the model, the plan of a run."""
