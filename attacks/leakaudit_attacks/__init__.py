"""The built-in attacks; plug-ins like anybody's."""
