"""Verifies exported JWS with joserfc: a judge that has none of Chancery's code in it.

usage: verify.py KEYS.jwks < EXPORT.jsonl

Each line of the export is an object with a JWS in the compact serialization, and the payload that is detached from it (RFC 7797),
in base64. Prints how many verify; names each that does not, and then ends with status 1.
"""

import base64
import json
import sys
import warnings

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS = ["ES256", "EdDSA", "PS256"]
# The name of RFC 8037, which every library knows; RFC 9864 has a newer one.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")
# A record may have 1 MiB.
jws.JWSRegistry.max_payload_length = 1024 * 1024


def main():
    with open(sys.argv[1]) as file:
        keys = KeySet.import_key_set(json.load(file))
    by_id = {key.kid: key for key in keys.keys}
    verified, bad = 0, 0
    for line in sys.stdin:
        record = json.loads(line)
        payload = base64.b64decode(record["payload"], validate=True)
        header = json.loads(base64.urlsafe_b64decode(record["jws"].split(".")[0] + "=="))
        try:
            jws.deserialize_compact(record["jws"], by_id[header["kid"]], algorithms=ALGORITHMS, payload=payload)
            verified += 1
        except (JoseError, KeyError, ValueError) as error:
            bad += 1
            print(f"record {record['record_id']}: {error!r}", file=sys.stderr)
    print(verified)
    return 1 if bad or not verified else 0


if __name__ == "__main__":
    sys.exit(main())
