"""One module per command, imported when the command is called.

In: arguments.  Out: an exit code, and lines on the terminal by way of `printing`.
"""
