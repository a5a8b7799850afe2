"""`roost token` makes keys, issues tokens and says what the server would say to one."""

import base64
import json
import stat
import subprocess
import time

import pytest

from mqtt_wire import TIMEOUT_S
from server import ROOST

ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"]
SECRET = "a secret that is long enough for HS256, which takes 32 bytes"


def token(*arguments, stdin=""):
    return subprocess.run([ROOST, "token", *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)


def good(*arguments, **options):
    ended = token(*arguments, **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def part(text, number):
    encoded = text.strip().split(".")[number]
    return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))


class Keys:
    """A pair of files, or with HS256 one."""

    def __init__(self, directory, algorithm, *options):
        self.private = directory / f"{algorithm}.private"
        self.public = self.private
        arguments = ["keygen", "--alg", algorithm, "--private", self.private, *options]
        if algorithm != "HS256":
            self.public = directory / f"{algorithm}.public"
            arguments += ["--public", self.public]
        good(*arguments)


@pytest.fixture(params=ALGORITHMS)
def keys(request, tmp_path):
    return Keys(tmp_path, request.param)


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    return file


def test_what_is_issued_is_let_in(keys):
    text = good("--key", keys.private, "--sub", "alice")
    assert 'would let it in, as user "alice"' in good("inspect", "--key", keys.public, text.strip())


def test_files_of_keys(keys):
    private, public = json.loads(keys.private.read_text()), json.loads(keys.public.read_text())
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    assert len(private["keys"]) == len(public["keys"]) == 1
    assert private["keys"][0]["kid"] == public["keys"][0]["kid"]
    assert len(private["keys"][0]["kid"]) == 43
    if keys.public != keys.private:
        assert stat.S_IMODE(keys.public.stat().st_mode) == 0o644
        assert "d" in private["keys"][0] and "d" not in public["keys"][0]


def test_key_files_are_not_written_over(tmp_path):
    keys = Keys(tmp_path, "ES256")
    before = keys.private.read_text()
    ended = token("keygen", "--alg", "ES256", "--private", keys.private)
    assert ended.returncode == 1
    assert "there already" in ended.stderr
    assert keys.private.read_text() == before


def test_claims(secret):
    begin = int(time.time())
    text = good("--secret-file", secret, "--user", "alice", "--client-id", "c1", "--iss", "me", "--aud", "us", "--jti", "t1",
                "--ttl", "60", "--kid", "k1", "--allow-publish", "a/%c/#", "--allow-publish", "b", "--allow-subscribe", "c",
                "--deny-publish", "a/%c/x", "--claim", 'roles=["r1", 2]', "--claim", "n=null")
    assert part(text, 0) == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    claims = part(text, 1)
    assert begin <= claims["iat"] <= int(time.time())
    assert claims["exp"] == claims["iat"] + 60
    del claims["iat"], claims["exp"]
    assert claims == {
        "sub": "alice", "client_id": "c1", "iss": "me", "aud": "us", "jti": "t1", "roles": ["r1", 2], "n": None,
        "permissions": {"publish": ["a/%c/#", "b"], "subscribe": ["c"], "deny": {"publish": ["a/%c/x"]}}}


def test_without_an_end(secret):
    claims = part(good("--secret-file", secret, "--sub", "a", "--ttl", "0"), 1)
    assert "exp" not in claims


def test_ids_are_at_random(secret):
    ids = {part(good("--secret-file", secret, "--sub", "a"), 1)["jti"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) == 32 for one in ids)


def test_secret_with_and_without_its_line_end(tmp_path, secret):
    other = tmp_path / "other"
    other.write_text(SECRET)
    other.chmod(0o600)
    text = good("--secret-file", secret, "--sub", "a").strip()
    assert "would let it in" in good("inspect", "--secret-file", other, text)


@pytest.mark.parametrize("options, inspected, name", [
    (["--claim", "exp=1"], [], "TOKEN_EXPIRED"),
    (["--claim", "nbf=4000000000"], [], "TOKEN_NOT_YET"),
    (["--ttl", "0"], [], "TOKEN_CLAIM"),
    (["--aud", "them"], [], "TOKEN_AUDIENCE"),
    (["--aud", "them"], ["--aud", "us"], "TOKEN_AUDIENCE"),
    (["--iss", "him"], ["--iss", "me"], "TOKEN_ISSUER"),
    ([], ["--user-claim", "name"], "TOKEN_CLAIM"),
    (["--claim", 'permissions={"publsh": ["a"]}'], [], "TOKEN_CLAIM"),
    (["--allow-publish", "a/#/b"], [], "TOKEN_CLAIM"),
])
def test_why_it_would_be_refused(secret, options, inspected, name):
    text = good("--secret-file", secret, "--sub", "alice", *options).strip()
    ended = token("inspect", "--secret-file", secret, *inspected, text)
    assert ended.returncode == 1
    assert f"would refuse it: " in ended.stdout
    assert f"({name})" in ended.stdout


def test_signed_with_another_key(tmp_path, secret):
    one, other = Keys(tmp_path, "ES256"), tmp_path / "more"
    other.mkdir()
    text = good("--key", one.private, "--sub", "a", "--kid", "x").strip()
    ended = token("inspect", "--key", Keys(other, "ES256", "--kid", "x").public, text)
    assert ended.returncode == 1
    assert "(TOKEN_SIGNATURE)" in ended.stdout
    ended = token("inspect", "--secret-file", secret, text)
    assert "(TOKEN_KEY_UNKNOWN)" in ended.stdout


def test_looking_without_a_key(secret):
    text = good("--secret-file", secret, "--sub", "alice", "--ttl", "100")
    shown = good("inspect", stdin=text)
    assert '"sub": "alice"' in shown
    assert "exp: " in shown and " in " in shown
    assert "not verified" in shown


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.b.c", "e30.e30", "\n"])
def test_looking_at_what_is_no_token(text):
    ended = token("inspect", stdin=text)
    assert ended.returncode == 1


@pytest.mark.parametrize("arguments, named", [
    ([], "--key, --secret-file"),
    (["--key", "a", "--secret-file", "b"], "--key, --secret-file"),
    (["--secret-file", "x", "--ttl", "soon"], "--ttl"),
    (["--secret-file", "x", "--ttl", "-1"], "--ttl"),
    (["--secret-file", "x", "--claim", "x"], "--claim"),
    (["--secret-file", "x", "--claim", "x=nonsense"], "not JSON"),
    (["--secret-file", "x", "--claim", 'x={"a":1,"a":2}'], "not JSON"),
    (["--secret-file", "x", "stray"], "stray"),
    (["issue"], "issue"),
    (["--nonsense"], "nonsense"),
    (["keygen"], "--alg"),
    (["keygen", "--alg", "none", "--private", "x"], "--alg"),
    (["keygen", "--alg", "ES256"], "--private"),
    (["keygen", "--alg", "HS256", "--private", "x", "--public", "y"], "--public"),
    (["keygen", "--alg", "ES256", "--private", "x", "--kid", ""], "--kid"),
    (["inspect", "a", "b"], "b"),
])
def test_usage(arguments, named):
    ended = token(*arguments)
    assert ended.returncode == 2
    assert named in ended.stderr


def test_keys_that_cannot_be_used(tmp_path, secret):
    ended = token("--secret-file", tmp_path / "none", "--sub", "a")
    assert ended.returncode == 1 and "No such file" in ended.stderr
    secret.chmod(0o644)
    ended = token("--secret-file", secret, "--sub", "a")
    assert ended.returncode == 1 and "everyone may read it" in ended.stderr
    secret.chmod(0o600)
    secret.write_text("short")
    ended = token("--secret-file", secret, "--sub", "a")
    assert ended.returncode == 1 and "5 bytes" in ended.stderr
    keys = Keys(tmp_path, "ES256")
    ended = token("--key", keys.private, "--alg", "EdDSA", "--sub", "a")
    assert ended.returncode == 1 and "another algorithm" in ended.stderr
    keys.public.chmod(0o600)
    ended = token("--key", keys.public, "--sub", "a")
    assert ended.returncode == 1 and "no private key" in ended.stderr
    ended = token("inspect", "--key", secret, "a.b.c")
    assert ended.returncode == 1 and str(secret) in ended.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "--help"], ["keygen", "--help"]])
def test_help(arguments):
    assert "--key" in good(*arguments) or "--alg" in good(*arguments)
