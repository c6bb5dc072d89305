"""Care of tables that exist: purge, release, maintain, upgrade, history."""
