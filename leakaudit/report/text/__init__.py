"""The report's words and numbers.

In: records.  Out: sentences, names of settings, numbers that know where they stand in report.json.
Every number of the page is made by `formatting`, every sentence about a verdict by `verdicts`.
"""
