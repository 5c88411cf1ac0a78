"""Verifies the DKIM signatures of a message with python3-dkim.

Reads {"raw": base64, "txt": {name: text}} and writes a list with one object for each
signature, the top one first.
"""
import base64
import json
import logging
import sys

import dkim


class Reasons(logging.Handler):
    """Keeps what the library logs instead of raising."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def verify(raw, index, lookup):
    reasons = Reasons()
    logger = logging.getLogger("verify.%d" % index)
    logger.propagate = False
    logger.addHandler(reasons)
    message = dkim.DKIM(raw, logger=logger, minkey=1024)
    try:
        passed = bool(message.verify(idx=index, dnsfunc=lookup))
    except dkim.DKIMException as err:
        passed = False
        reasons.lines.append(str(err))
    fields = message.signature_fields or {}
    return {
        "domain": fields.get(b"d", b"").decode(),
        "selector": fields.get(b"s", b"").decode(),
        "algorithm": fields.get(b"a", b"").decode(),
        "pass": passed,
        "reason": "" if passed else "; ".join(reasons.lines) or "the signature does not verify",
    }


def main():
    given = json.load(sys.stdin)
    raw = base64.b64decode(given["raw"])
    texts = {name.lower().rstrip("."): text for name, text in given["txt"].items()}

    def lookup(name, timeout=5):
        text = texts.get(name.decode().lower().rstrip("."))
        return None if text is None else text.encode()

    headers = dkim.DKIM(raw).headers
    count = sum(name.lower() == b"dkim-signature" for name, _ in headers)
    json.dump([verify(raw, index, lookup) for index in range(count)], sys.stdout)


main()
