"""leakaudit measures what split learning leaks."""
