"""How results are written: text, HTML pages and SVG charts.

It knows nothing of what the figures mean, and imports none of the packages beside it. Start with
`outputs` and `plot`.
"""
