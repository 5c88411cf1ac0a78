"""Seals a message, or verifies its ARC chain, with python3-dkim.

Reads {"raw": base64, ...} and writes an object. With "key" it is sealed by "domain" and
"selector", and the object has "raw"; otherwise the chain is verified against "txt".
"""
import base64
import json
import logging
import sys

import dkim


def seal(given, raw):
    fields = dkim.arc_sign(
        raw, given["selector"].encode(), given["domain"].encode(), given["key"].encode(),
        given["authserv"].encode())
    # The library signs a line end behind each field and returns one of them without it.
    lines = [field.rstrip(b"\r\n") + b"\r\n" for field in fields]
    return {"raw": base64.b64encode(b"".join(lines) + raw).decode()}


def verify(given, raw):
    texts = {name.lower().rstrip("."): text for name, text in given["txt"].items()}

    def lookup(name, timeout=5):
        text = texts.get(name.decode().lower().rstrip("."))
        return None if text is None else text.encode()

    result, _, reason = dkim.arc_verify(raw, dnsfunc=lookup, minkey=1024)
    return {"result": (result or b"fail").decode(), "reason": reason}


def main():
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    raw = base64.b64decode(given["raw"])
    json.dump(seal(given, raw) if "key" in given else verify(given, raw), sys.stdout)


main()
