"""Keeps the code of others away from the patients.

In: the name of an attack, and what it may be shown.  Out: a confined process, and a pipe whose
every byte is checked.
"""
