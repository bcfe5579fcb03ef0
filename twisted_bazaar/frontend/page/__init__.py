"""The live page at `/`: the market, a ticket to trade with, the trades, and the cluster.

`files` serves what is in this folder; it decides nothing else. The page is plain HTML, CSS and ES
modules, without a build step: `index.html` names them, and `main.js` puts them together. What it
shows comes from calls that any client may make: `/stocks`, `/orders`, `/events`, `/replicas` and
`/status`. `vendor/` is uPlot, as it was published, with its licence and version. `api.routes` uses
this package.
"""
