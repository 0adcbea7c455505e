"""The files of a report beside the page.

In: a record.  Out: report.json with its schema, cells.csv, junit.xml, a Markdown table and the
manifest, each written whole or not at all.
"""
