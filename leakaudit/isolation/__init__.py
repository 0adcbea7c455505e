"""Keeps what others wrote away from the patients: processes, what they see, and their pipe."""
