"""JSON Web Tokens of HS256, made of Python's own parts [RFC 7515, 7519]."""

import base64
import hashlib
import hmac
import json
import time


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(secret, kid=None, life_s=3600, **claims):
    header = {"alg": "HS256", "typ": "JWT", **({"kid": kid} if kid else {})}
    claims.setdefault("exp", int(time.time()) + life_s)
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def jwk_set(**secrets):
    """A JWK set with a secret for each key id [RFC 7517]."""
    keys = [{"kty": "oct", "alg": "HS256", "kid": kid, "k": base64url(secret)} for kid, secret in secrets.items()]
    return json.dumps({"keys": keys}).encode()
