"""What clients sent and were answered, and whether that keeps the promises of docs/protocol.md.

Pure, but for reading and writing the file. It imports none of the packages beside it; any may
import it. Start with `records`, then `checker`.
"""
