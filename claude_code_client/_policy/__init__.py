"""Pure decisions: retries, reconnects, budgets and prices."""
