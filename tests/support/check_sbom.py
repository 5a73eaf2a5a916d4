#!/usr/bin/env python3
"""check_sbom.py WHEELS DOCUMENT...: is each a valid CycloneDX 1.6 document by the official JSON schema, with references that
lead somewhere and everything reachable from what it describes? The schema is the one in cyclonedx-python-lib's wheel."""
import glob, json, sys, zipfile
import jsonschema

FOLDER = "cyclonedx/schema/_res/"


# Debian's jsonschema cannot name extra items that are objects.
def additional_items(_, allowed, instance, schema):
    if allowed is False and isinstance(instance, list) and len(instance) > len(schema["items"]):
        yield jsonschema.ValidationError("too many items")


def validator(wheels):
    (wheel,) = glob.glob(f"{wheels}/cyclonedx_python_lib-*.whl")
    archive = zipfile.ZipFile(wheel)
    load = lambda name: json.loads(archive.read(f"{FOLDER}{name}.SNAPSHOT.schema.json"))
    schema = load("bom-1.6")
    beside = schema["$id"].rsplit("/", 1)[0]
    store = {f"{beside}/{name}.SNAPSHOT.schema.json": load(name) for name in ("spdx", "jsf-0.82")}
    resolver = jsonschema.RefResolver.from_schema(schema, store=store)
    kind = jsonschema.validators.extend(jsonschema.Draft7Validator, {"additionalItems": additional_items})
    return kind(schema, resolver=resolver)


def check(document, valid):
    faults = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in valid.iter_errors(document)]
    subject = document["metadata"]["component"]["bom-ref"]
    refs = [component["bom-ref"] for component in document["components"]] + [subject]
    faults += [f"{ref} is there twice" for ref in refs if refs.count(ref) > 1]
    needs = {item["ref"]: item.get("dependsOn", []) for item in document["dependencies"]}
    faults += [f"{ref} is of nobody" for ref in set(needs) | {n for of in needs.values() for n in of} if ref not in refs]
    reached, open_ = set(), [subject]
    while open_:
        ref = open_.pop()
        if ref not in reached:
            reached.add(ref)
            open_ += needs.get(ref, [])
    faults += [f"{ref} cannot be reached" for ref in set(refs) - reached]
    return faults


def main():
    valid = validator(sys.argv[1])
    for component in ({"name": "x"}, {"name": "x", "type": "file", "licenses": [{"license": {"id": "no such"}}]},
                      {"name": "x", "type": "file", "licenses": [{"expression": "MIT"}, {"expression": "MIT"}]}):
        bad = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component]}
        assert not valid.is_valid(bad), f"the check cannot fail: {bad}"
    bad = False
    for name in sys.argv[2:]:
        with open(name) as file:
            document = json.load(file)
        for fault in check(document, valid):
            bad = True
            print(f"{name}: {fault}", file=sys.stderr)
        print(f"{name}: {len(document['components'])} components")
    sys.exit(bad)


if __name__ == "__main__":
    main()
