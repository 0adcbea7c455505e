"""The version of a report that may leave the house.

In: a record.  Out: the same figures without who, where and on what machine: pseudonyms under a
key that stays, names taken out of every text.
"""
