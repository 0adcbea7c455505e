"""The figures of the page.

In: a record.  Out: geometry in figure units, and the views that the templates draw.  Figures with
two axes (`tradeoff_panel`, `series`) are drawn as they are; those with a row for each setting
(`heatmap`, `patients`, `modalities`) are tables with a drawing or a shade in every row.
"""
