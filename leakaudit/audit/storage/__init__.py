"""The files of a job: patients, trained networks, results.

In: a run folder and a task.  Out: the patients of one network, mapped from one file that all jobs
share; the network with its defense; and a place for the result, which is whole or absent.
"""
