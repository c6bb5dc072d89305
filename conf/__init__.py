"""What an operator may change: typed settings, versions and the YAML files they read."""
