"""The built-in defenses; plug-ins like anybody's."""
