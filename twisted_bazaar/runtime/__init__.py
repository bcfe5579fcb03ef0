"""What a process needs around its service: options, logs, exits, threads, addresses.

It knows nothing of trades or stocks; of the package it imports only the vocabulary at the top,
and every other package may import it. Start with `services`: `prepare` and `Process` are what
each `makeService` uses. `exits` says how a process ends, `options` how it is configured, and
`reactor` has the type of the reactor that everything takes as an argument.
"""
