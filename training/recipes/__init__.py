"""The settings of a training: what is asked for and with which values."""
