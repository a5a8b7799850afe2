"""Tokens, keys and password files for tests of who may come in."""

import base64
import hashlib
import json
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SECRET = "0123456789abcdef0123456789abcdef"


def private_key(algorithm):
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(key=SECRET, algorithm="HS256", left_s=3600, headers=None, **claims):
    """Good for so long, of the user "u" unless the claims say otherwise; a claim that is None is left out."""
    claims = {"sub": "u", "exp": int(time.time()) + left_s, **claims}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm, headers)


def part(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(**claims):
    """A token of the algorithm "none"."""
    return f"{part({'alg': 'none'})}.{part({'sub': 'u', 'exp': int(time.time()) + 3600, **claims})}."


def private_file(path, content):
    """A file that only its owner may read."""
    path.touch(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def secret_file(folder, secret=SECRET):
    return private_file(folder / "secret", secret)


def password_line(user, password):
    """As mosquitto_passwd writes it, but cheap."""
    salt = b"0123456789ab"
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 3)
    return f"{user}:$7$3${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}\n"


def hs256(secret, kid=None, life_s=3600, **claims):
    """A token of HS256 whose header names a key."""
    return token(secret, left_s=life_s, headers={"kid": kid} if kid else None, **claims)


def jwk_set(**secrets):
    """A JWK set with a secret for each key id [RFC 7517]."""
    keys = [{"kty": "oct", "alg": "HS256", "kid": kid, "k": part(secret)} for kid, secret in secrets.items()]
    return json.dumps({"keys": keys}).encode()
