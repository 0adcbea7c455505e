"""From an audit file to the work it asks for.

In: an `AuditConfig` and who plays which part.  Out: the networks to train and the cells to run,
each with the key of its result, and a guess at how long they take.  Nothing is trained here.
"""
