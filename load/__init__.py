"""The load client: it measures a bazaar, or injects faults into it and checks every answer.

It uses a bazaar from outside, over REST, and its processes and files. Start with `__main__`, then
the `arguments` and `command` modules of `run`, `sweep`, `chaos`, `bench` and `history`.
"""
