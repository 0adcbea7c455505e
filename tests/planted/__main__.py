"""``python -m tests.planted``: see `tests.planted.audited`."""

if __name__ == "__main__":  # a job's process imports this module as well, and needs nothing of it
    from tests.planted.audited import main

    main()
