"""Measures what split learning leaks.

In: an audit file and patients.  Out: a report, `report.json` and `report.html`.
"""
