"""manifest_with_libc.py FOLDER: demo.json of the manifests in FOLDER, for elsewhere, with the C library in the bundle."""
import json
import os
import sys

folder = sys.argv[1]
manifest = json.load(open(folder + "/demo.json"))
for key in ("executables", "library_paths"):
    manifest[key] = [os.path.normpath(os.path.join(folder, path)) for path in manifest[key]]
manifest["model"]["path"] = os.path.normpath(os.path.join(folder, manifest["model"]["path"]))
manifest["libc"] = "bundled"
del manifest["$schema"]
json.dump(manifest, sys.stdout)
