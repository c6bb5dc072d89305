"""Reading notes from any source and judging each row."""
