"""What the REST API takes and answers: in OpenAPI 3.1 for programs, as a page for people.

`vocabulary` has the words; `market`, `trading`, `batch`, `reading`, `watching` and `state` describe
each call with them, and a route names the description that it follows (`served`). `document` makes
the description in OpenAPI of all routes, `page` the page from that. All modules are pure.
"""
