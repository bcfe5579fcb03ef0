"""Who is who inside a bazaar: certificates, and what their holders may call.

    roles        the roles, and which of them may call what
    authority    makes an authority, and certificates by it
    folder       the files of both

A bazaar has an authority of its own, so a certificate of another one is worth nothing here.
"""
