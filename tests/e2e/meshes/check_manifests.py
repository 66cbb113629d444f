"""Checks Kubernetes manifests against the schemas of their kinds, as an API server would.

usage: check_manifests.py [--crds FILE]... MANIFEST...

Kubernetes' own kinds are checked against the schemas that kubernetes-validate brings, all others against those of the
CustomResourceDefinitions. Fields that a schema does not know are mistakes, and so are kinds that nothing describes; with
--skip-custom, the latter are left out. Rules in CEL (`x-kubernetes-validations`) are not evaluated.
"""

import argparse
import sys

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.37"
# A CustomResourceDefinition leaves it to the API server.
METADATA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--crds", action="append", default=[])
    parser.add_argument("--skip-custom", action="store_true")
    parser.add_argument("manifests", nargs="+")
    arguments = parser.parse_args()
    schemas = custom_schemas(arguments.crds)
    mistakes = checked = 0
    for file in arguments.manifests:
        for manifest in documents(file):
            problems = check(manifest, schemas, arguments.skip_custom)
            if problems is None:
                continue
            checked += 1
            mistakes += len(problems)
            for problem in problems:
                print(f"{file}: {manifest['kind']} {manifest['metadata']['name']}: {problem}")
    print(f"{checked} manifests, {mistakes} mistakes")
    sys.exit(mistakes > 0 or checked == 0)


def documents(file):
    with open(file, encoding="utf-8") as text:
        return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def custom_schemas(files):
    """The schemas by apiVersion and kind."""
    schemas = {}
    for definition in (document for file in files for document in documents(file)):
        if definition["kind"] != "CustomResourceDefinition":
            continue
        spec = definition["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            schemas[key] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def check(manifest, schemas, skip_custom):
    """What is wrong with it. None: nobody knows its kind, and nobody has to."""
    key = (manifest["apiVersion"], manifest["kind"])
    if key in schemas:
        errors = jsonschema.Draft202012Validator(schemas[key]).iter_errors(manifest)
        return [f"{error.json_path}: {error.message}" for error in errors]
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{error.json_path}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError:
        return None if skip_custom else ["no schema for " + " ".join(key)]
    return []


def closed(schema):
    """A CustomResourceDefinition's schema in JSON Schema's words, in which an unknown field is a mistake."""
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": METADATA}
    schema["required"] = ["spec"]
    return close(schema)


def close(schema):
    if isinstance(schema, list):
        return [close(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    for keyword in ("properties", "patternProperties"):
        if keyword in schema:
            schema[keyword] = {name: close(member) for name, member in schema[keyword].items()}
    for keyword in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
        if keyword in schema:
            schema[keyword] = close(schema[keyword])
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    # Inside `anyOf` and its like there is no `type`: these narrow down what stands beside them.
    if schema.get("type") == "object" and "properties" in schema and not is_open:
        schema["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    if schema.pop("nullable", False) and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


if __name__ == "__main__":
    main()
