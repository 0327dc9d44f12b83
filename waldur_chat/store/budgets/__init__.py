"""Rows of budgets: accounts, quotas, usage."""
