"""Threat models, and the observations they grant."""
