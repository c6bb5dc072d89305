"""Several models side by side, and the gate that promotes one."""
