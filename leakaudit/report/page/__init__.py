"""report.html: one file that asks nobody for anything.

In: a record and, if the audit allows it, pictures.  Out: the page.  Templates come from the
program, or first from a folder of the user's.
"""
