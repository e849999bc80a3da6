# Checks bodies with the lines of gateway/api/signatures.md, which stand beside this file as signatures.py.
# In: {jwks, pem, bodies}. Out: for each body whether it holds by the JWK set, and by the first certificate.
import json
import sys

from jwcrypto.common import JWException
from jwcrypto.jwk import JWK, JWKSet

from signatures import check


def holds(body, keys):
    try:
        check(body, keys)
    except JWException:
        return False
    return True


given = json.load(sys.stdin)
jwks, certificate = JWKSet.from_json(given["jwks"]), JWK.from_pem(given["pem"].encode())
print(json.dumps([[holds(body, jwks), holds(body, certificate)] for body in given["bodies"]]))
