"""One run: which notes are due, in which order the steps come, the ledger last."""
