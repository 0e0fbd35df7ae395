"""The contract itself: it is well-formed, its examples are valid, and its routes exist."""

from __future__ import annotations

import jsonschema
import pytest

METHODS = ("get", "post", "delete", "put", "patch")


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def examples(document):
    """Yields (schema name, example) for every body."""
    for _, _, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (media for body in bodies for media in body.get("content", {}).values()):
            shown = [content["example"]] if "example" in content else []
            shown += [example["value"] for example in content.get("examples", {}).values()]
            for example in shown:
                yield content["schema"]["$ref"].rpartition("/")[2], example


def test_schemas_are_schemas(contract):
    for schema in contract.document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_references_lead_somewhere(contract):
    def walk(node):
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                target = contract.document
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(contract.document)


def test_examples_are_as_the_schemas_say(contract):
    found = list(examples(contract.document))
    assert len(found) >= 5
    for schema, example in found:
        contract.check(schema, example)


def test_request_examples_are_answered(client, contract):
    for path, method, operation in operations(contract.document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            shown = [content["example"]] if "example" in content else []
            shown += [example["value"] for example in content.get("examples", {}).values()]
            for example in shown:
                response = client.request(method, path, json=example)
                assert response.status_code == 200, response.text
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                contract.check(schema["$ref"].rpartition("/")[2], response.json())


def test_every_operation_is_served(client, contract):
    for path, method, operation in operations(contract.document):
        response = client.request(method, path.format(job_id="unknown"))
        assert str(response.status_code) in operation["responses"], (method, path)


@pytest.mark.parametrize("status", ["400", "401", "408", "409", "413", "415", "422", "429", "500", "503"])
def test_submissions_list_every_refusal(contract, status):
    for path, method, operation in operations(contract.document):
        if method == "post":
            assert status in operation["responses"], path
