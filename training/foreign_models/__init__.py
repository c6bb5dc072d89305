"""A token classifier of somebody else into a package of ours."""
