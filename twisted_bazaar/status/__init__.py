"""The state of a bazaar as a front-end shows it to operators.

`report` has the shape of the answer to `GET /status`, and `judgement` says what in it is wrong.
Both are pure. The front-end makes the answer (`frontend.api.overview`); `tools` read it.
"""
