"""Names of a root's tables in a catalog, and the views over them."""
