"""Tables and pages that several jobs show a person."""
