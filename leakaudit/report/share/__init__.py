"""The version of a report that may leave the house.

In: a record.  Out: the same figures without who, where and on what machine.  `fields` lists what
may leave; patients have pseudonyms under a key that stays.
"""
