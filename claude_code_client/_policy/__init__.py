"""Pure decisions: retries, reconnects, budgets, prices."""
