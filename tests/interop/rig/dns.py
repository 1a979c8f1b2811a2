"""What the cases' name servers have in common, as source for a Python that is started in a namespace."""

# reply(query, said, heard, life): the answer to a query, with the address `said` where an A record was asked for, which may be kept `life`
# seconds; the name that was asked for goes into the file `heard`.
REPLY = """
import socket, struct, sys
def reply(query, said, heard, life):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    with open(heard, "a") as f:
        f.write(".".join(labels).lower() + "\\n")
    records = b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, life, 4) + socket.inet_aton(said) if kind == 1 else b""
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if records else 0, 0, 0) + query[12:at + 5] + records
"""
