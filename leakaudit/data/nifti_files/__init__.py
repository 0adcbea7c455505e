"""Reading a NIfTI file that is not trusted.

In: a path.  Out: voxels and where they lie, or a refusal that names the file.  Nothing is
allocated before header and size agree.
"""
