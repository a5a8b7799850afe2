"""PyJWT and cryptography, in both directions: it takes our tokens and keys, and we take its."""

import json
import os
import subprocess
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from server import ROOST

TIMEOUT_S = 20
SECRET = "a secret that both sides know, of more than 32 bytes"
MAKERS = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
ALGORITHMS = ["HS256", *MAKERS]


def token(*arguments):
    ended = subprocess.run([ROOST, "token", *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S,
                           check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()


def private_file(path, content):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    return path


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_takes_our_tokens_and_keys(tmp_path, algorithm):
    private, public = tmp_path / "private", tmp_path / "public"
    if algorithm == "HS256":
        public = private
        token("keygen", "--alg", algorithm, "--private", private)
    else:
        token("keygen", "--alg", algorithm, "--private", private, "--public", public)
    jwk = json.loads(public.read_text())["keys"][0]
    key = jwt.PyJWK(jwk, algorithm=algorithm).key
    text = token("--key", private, "--sub", "alice", "--aud", "us", "--claim", "n=7")
    claims = jwt.decode(text, key, algorithms=[algorithm], audience="us", options={"require": ["exp", "iat", "jti"]})
    assert (claims["sub"], claims["n"]) == ("alice", 7)
    assert jwt.get_unverified_header(text)["kid"] == jwk["kid"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_take_its_tokens_and_keys(tmp_path, algorithm):
    claims = {"sub": "alice", "exp": time.time() + 60, "nbf": time.time() - 1}
    if algorithm == "HS256":
        secret = private_file(tmp_path / "secret", SECRET.encode())
        text = jwt.encode(claims, SECRET, algorithm=algorithm)
        assert "would let it in" in token("inspect", "--secret-file", secret, text)
        return
    key = MAKERS[algorithm]()
    public = tmp_path / "public"
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM,
                                                     serialization.PublicFormat.SubjectPublicKeyInfo))
    text = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "of-no-key-here"})
    assert "would let it in" in token("inspect", "--key", public, text)


@pytest.mark.parametrize("algorithm, form", [
    ("RS256", "TraditionalOpenSSL"), ("RS256", "PKCS8"), ("ES256", "TraditionalOpenSSL"), ("ES256", "PKCS8"), ("EdDSA", "PKCS8")])
def test_we_sign_with_its_keys(tmp_path, algorithm, form):
    key = MAKERS[algorithm]()
    pem = key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form),
                            serialization.NoEncryption())
    text = token("--key", private_file(tmp_path / "private", pem), "--alg", algorithm, "--sub", "alice")
    assert jwt.decode(text, key.public_key(), algorithms=[algorithm])["sub"] == "alice"
