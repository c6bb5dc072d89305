"""How good a model is: measures, intervals, calibration, what it gets wrong."""
