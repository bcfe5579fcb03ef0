"""Who is who inside a bazaar: certificates, and what their holders may call.

    roles        the roles, and which of them may call what
    authority    makes an authority, and certificates by it
    folder       the files of both
    contexts     the certificates of one process, read again when they change
    transport    TLS between a connection and its protocol, inside and for clients
    options      what the options of a service say; `inside` opens its certificates by them

Start with `roles`; it and `authority` are pure. A bazaar has an authority of its own, so a
certificate of another one is worth nothing here. TLS for clients is `http.edge`, and TLS to servers
of others, such as a Redis, is `trusting`.
"""
