"""The output of commands.

In: records, messages, progress.  Out: lines that fit the terminal, on stdout what was asked for,
on stderr what happens meanwhile.
"""
