"""The built-in defences; plug-ins like anybody's."""
