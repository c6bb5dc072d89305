"""A package loaded, guarded and called: texts in, predictions out."""
