"""Reports: the products of the stages as text for a terminal, and as one JSON object.

render      rich renderables → a string, with or without colour
json        the envelope of `--json`
profile, fit, plan, build, convert, flash, targets, doctor      one file per product
diagnosis   what is installed and what is missing
"""
