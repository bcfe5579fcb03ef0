"""Backups of a bazaar: how one is taken from the folder of a replica, kept, and restored.

Start with `taking`, which reads what a replica has released, and `restoring`, which makes the
folders of the replicas of another bazaar from it. `file_format` is what a backup looks like, and
`places` keeps it in a file or in S3.
"""
