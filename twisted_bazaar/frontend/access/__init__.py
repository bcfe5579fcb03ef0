"""Who may call what, where there is a file of clients (`--clients`).

Start with `gate`: `Gate` finds the client of a request by its API key, or refuses it. `client_file`
reads the file, `reload` reads it again when it changes; `orders` decides what of an order a client
is shown. `client_file`, `gate` and `orders` are pure. Only `frontend` imports this package, and
`tools` imports `client_file`.
"""
