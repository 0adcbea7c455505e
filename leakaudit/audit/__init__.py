"""Runs an audit.

In: an audit file and a cohort.  Out: a run folder and one `ReportRecord`.  `planning` decides what
to do, `jobs` do it, `scoring` measures it, `results` put it together; `storage` keeps it.
"""
