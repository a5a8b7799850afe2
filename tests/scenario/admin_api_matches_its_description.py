"""Every operation of the OpenAPI description answers as it says: with a status and a body that are described there."""

import json
from pathlib import Path

import jsonschema
import pytest

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text())
TOKEN = "a-token-that-is-long-enough"

# Operation -> requests that bring about its answers: (id in the path, query, body, status).
MESSAGE = {"topic": "t", "payload": "x"}
WHOLE_MESSAGE = {"topic": "t", "payload_base64": "AAE=", "qos": 1, "retain": True, "properties": {
    "content_type": "text/plain", "response_topic": "answers", "correlation_data_base64": "AA==", "payload_is_utf8": False,
    "message_expiry_seconds": 60, "user_properties": [["a", "b"]]}}
REQUESTS = {
    "page": [("", "", None, 200)],
    "health": [("", "", None, 200)],
    "ready": [("", "", None, 200)],
    "metrics": [("", "", None, 200)],
    "openapi": [("", "", None, 200)],
    "stats": [("", "", None, 200)],
    "clients": [("", "", None, 200), ("", "?limit=1", None, 200), ("", "?state=offline&prefix=o", None, 200),
                ("", "?limit=0", None, 400), ("", "?cursor=9.9", None, 400), ("", "?what=1", None, 400)],
    "client": [("online", "", None, 200), ("offline", "", None, 200), ("nobody", "", None, 404)],
    "endSession": [("nobody", "", None, 404), ("offline", "", None, 200)],
    "disconnect": [("nobody", "", None, 404), ("offline", "", None, 404), ("online", "", None, 200)],
    "publish": [("", "", MESSAGE, 200), ("", "", WHOLE_MESSAGE, 200), ("", "", {"topic": "#"}, 400)],
    "publishBatch": [("", "", {"messages": [MESSAGE, WHOLE_MESSAGE]}, 200), ("", "", {"messages": [{}]}, 400)],
    "revoke": [("", "", {"kind": "user", "id": "u/1"}, 200), ("", "", {"kind": "token", "id": "j", "seconds": 60}, 200),
               ("", "", {"kind": "door", "id": "u"}, 400), ("", "", {"kind": "user"}, 400),
               ("", "", {"kind": "user", "id": "u", "second": 60}, 400),
               ("", "", {"kind": "user", "id": "u", "seconds": 0}, 400)],
    "revocations": [("", "", None, 200), ("", "?from=1&limit=1&source=redis", None, 200), ("", "?limit=0", None, 400),
                    ("", "?source=elsewhere", None, 400)],
    "lift": [("u%2F1", "?kind=user", None, 200), ("u%2F1", "?kind=user", None, 404), ("u", "", None, 400)],
    "rules": [("", "", None, 200)],
    "presenceTable": [("", "", None, 200)],
    "consumers": [("", "", None, 200)],
    "hooks": [("", "", None, 200)],
    "nodes": [("", "", None, 200)],
    "forgetNode": [("nobody", "", None, 404)],
    "bridges": [("", "", None, 200)],
    "reload": [("", "", None, 200)],
    "drainState": [("", "", None, 200)],
    "drain": [("", "", {"over_seconds": 0}, 400), ("", "", {"moved": True}, 400), ("", "", {"over": 3}, 400),
              ("", "", {"server_reference": ""}, 400), ("", "", {"over_seconds": 3600, "server_reference": "other:1883"}, 200),
              ("", "", {}, 409)],
    "undrain": [("", "", None, 200)],
    "upgradeState": [("", "", None, 200)],
    "upgrade": [("", "", {"path": "roost"}, 400), ("", "", {"program": "/x"}, 400), ("", "", {"path": "/nowhere/roost"}, 202)],
}


def resolve(schema):
    """$ref and what OpenAPI adds to it, so that jsonschema takes it as it is."""
    return {**schema, "components": DOCUMENT["components"]}


def operations():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method, operation


def check(answer, operation):
    described = operation["responses"].get(str(answer.status))
    assert described, f"{operation['operationId']} answered {answer.status}: {answer.text}"
    content = described["content"]
    assert answer.headers["Content-Type"] in content or answer.headers["Content-Type"].split(";")[0] in content
    if answer.headers["Content-Type"].startswith("application/json"):
        jsonschema.validate(answer.json, resolve(content["application/json"]["schema"]))


@pytest.fixture
def admin(serve, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "roost.yaml").write_text("log_level: debug\n")
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", "--admin-token-file", str(tmp_path / "token"), "--config",
                   str(tmp_path / "roost.yaml"))
    server.session("offline", 5).close()
    with server.session("online", 5) as online:
        online.subscribe(("a/b", 1))
        server.wait_counter("sessions_offline", 1)
        yield server.admin(token=TOKEN)


def test_every_operation(admin):
    done = set()
    for path, method, operation in operations():
        for client, query, body, status in REQUESTS[operation["operationId"]]:
            if body is not None and status == 200:
                jsonschema.validate(body, resolve(operation["requestBody"]["content"]["application/json"]["schema"]))
            answer = admin.request(method.upper(), path.replace("{id}", client) + query, body)
            assert answer.status == status, (operation["operationId"], answer.text)
            check(answer, operation)
            done.add(operation["operationId"])
    assert done == set(REQUESTS)


def test_without_the_token(admin):
    admin.token = None
    for path, method, operation in operations():
        answer = admin.request(method.upper(), path.replace("{id}", "online"))
        if operation.get("security") == []:
            assert answer.status != 401, path
        else:
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            check(answer, operation)


def test_other_methods_and_paths(admin):
    for path, methods in DOCUMENT["paths"].items():
        allowed = {name.upper() for name in methods if name != "parameters"}
        for method in {"GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"} - allowed:
            answer = admin.request(method, path.replace("{id}", "online"))
            assert answer.status == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed
    assert admin.get("/api/v1/nothing").status == 404


def test_it_serves_this_description(admin):
    assert admin.get("/api/v1/openapi.json").json == DOCUMENT
