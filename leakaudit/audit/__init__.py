"""Audit: from a configuration to targets and cells, and from their records to one report."""
