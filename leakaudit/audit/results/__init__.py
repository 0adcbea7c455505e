"""From the results of all jobs to the one record that the report shows.

In: the run folder and what was planned.  Out: a `ReportRecord`: folds pooled over their patients,
every positive control applied, the worst attack of each setting, the verdict, and the pictures.
"""
