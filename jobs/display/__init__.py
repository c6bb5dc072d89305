"""Tables and pages that jobs show a person; only these write to the console."""
