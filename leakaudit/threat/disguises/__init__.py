"""Disguises: invertible changes of a release that hide nothing and say nothing of themselves.

In: levels.  Out: levels that hold the same image, but that an attack reads no more if it works only
where nothing stands in its way.  `disguises` gives one of every kind; a run's positive controls are
made under `control_disguise`.
"""
