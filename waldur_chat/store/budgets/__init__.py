"""Token budgets: accounts, quotas, the usage ledger."""
