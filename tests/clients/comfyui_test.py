"""examples/comfyui against the real service, with what ComfyUI promises to its nodes: how they are loaded, checked, called and interrupted.

usage: comfyui_test.py BIN EXAMPLES
"""
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import types
import unittest

import numpy as np
import torch
from PIL import Image

from service import Service, ask

BIN, EXAMPLES = (pathlib.Path(argument) for argument in sys.argv[1:3])
MODEL, COMFYUI = EXAMPLES / "starter-model/checkpoint", EXAMPLES / "comfyui"


class Interrupted(Exception):
    pass


class Host:
    """What ComfyUI gives to nodes as the module `comfy`; interrupts at the `interrupt_at`th time it is asked."""

    def __init__(self):
        self.progress, self.asked, self.interrupt_at = [], 0, None
        management = types.ModuleType("comfy.model_management")
        management.InterruptProcessingException = Interrupted
        management.throw_exception_if_processing_interrupted = self.throw_if_interrupted
        utils = types.ModuleType("comfy.utils")
        utils.ProgressBar = lambda total: types.SimpleNamespace(update_absolute=lambda value, total: self.progress.append((value, total)))
        package = types.ModuleType("comfy")
        package.model_management, package.utils = management, utils
        sys.modules.update({"comfy": package, "comfy.model_management": management, "comfy.utils": utils})

    def throw_if_interrupted(self):
        self.asked += 1
        if self.asked == self.interrupt_at:
            raise Interrupted

    def load(self, folder):
        """As ComfyUI loads a folder of custom_nodes: by path, under a name that is none."""
        name = str(folder).replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


class LoadImage:
    """ComfyUI's own: a picture, and a mask of its transparency, or an empty one of 64 × 64."""

    RETURN_TYPES, FUNCTION = ("IMAGE", "MASK"), "load"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("STRING", {"image_upload": True})}}

    def load(self, image):
        picture = Image.open(self.folder / image)
        alpha = np.array(picture.getchannel("A"), np.float32) / 255 if "A" in picture.getbands() else np.ones((64, 64), np.float32)
        return torch.from_numpy(np.array(picture.convert("RGB"), np.float32) / 255)[None], 1 - torch.from_numpy(alpha)[None]


class SaveImage:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "save", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})}}

    def save(self, images, filename_prefix):
        assert images.dtype == torch.float32 and images.ndim == 4 and images.shape[-1] == 3, (images.dtype, images.shape)
        self.saved.append((images.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
        return {"ui": {"images": []}}


def execute(workflow, nodes):
    """Checks each node's inputs by its INPUT_TYPES, then calls its FUNCTION, from what nothing depends on back."""
    done = {}

    def value(name, given, kind, options=None):
        if not isinstance(given, list):
            assert isinstance(given, {"INT": int, "STRING": str, "FLOAT": float}[kind]), (name, given, kind)
            assert kind != "INT" or options["min"] <= given <= options["max"], (name, given)
            return given
        source, slot = given
        produced = nodes[workflow[source]["class_type"]].RETURN_TYPES[slot]
        assert produced == kind, f"{name} is {kind} and gets {produced}"
        return run(source)[slot]

    def run(node):
        if node not in done:
            cls = nodes[workflow[node]["class_type"]]
            kinds = cls.INPUT_TYPES()
            inputs = workflow[node]["inputs"]
            known = {**kinds["required"], **kinds.get("optional", {})}
            assert set(kinds["required"]) <= set(inputs) <= set(known), (node, inputs)
            arguments = {name: value(name, given, *known[name]) for name, given in inputs.items()}
            with torch.inference_mode():
                done[node] = getattr(cls(), cls.FUNCTION)(**arguments)
        return done[node]

    for node, description in workflow.items():
        if getattr(nodes[description["class_type"]], "OUTPUT_NODE", False):
            run(node)
    return done


def as_api(drawn, nodes):
    """What ComfyUI's page makes of a drawn workflow before it runs it."""
    links = {link[0]: [str(link[1]), link[2]] for link in drawn["links"]}
    workflow = {}
    for node in drawn["nodes"]:
        kinds = nodes[node["type"]].INPUT_TYPES()
        inputs = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        values = iter(node["widgets_values"])
        for name, kind in {**kinds["required"], **kinds.get("optional", {})}.items():
            if kind[0] in ("INT", "FLOAT", "STRING"):
                inputs[name] = next(values)
                if kind[1].get("control_after_generate") or kind[1].get("image_upload"):
                    next(values)  # the widget beside it
        assert not list(values), node
        workflow[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return workflow


class ComfyUI(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.service = cls.enterClassContext(Service(BIN, MODEL, "--state", folder / "state"))
        os.environ["HOLDALL_URL"] = cls.service.url
        LoadImage.folder = folder
        Image.open(MODEL / "golden/recolour.png").save(folder / "scene.png")
        cls.host = Host()
        cls.package = cls.host.load(COMFYUI / "holdall")
        cls.package.POLL_SECONDS = 0.02
        cls.nodes = {"LoadImage": LoadImage, "SaveImage": SaveImage, **cls.package.NODE_CLASS_MAPPINGS}
        cls.workflow = json.loads((COMFYUI / "workflow_api.json").read_text())

    def setUp(self):
        self.host.progress, self.host.asked, self.host.interrupt_at = [], 0, None
        SaveImage.saved = []
        self.scene, self.empty_mask = LoadImage().load("scene.png")

    def node(self, name, **inputs):
        return execute({"1": {"class_type": "LoadImage", "inputs": {"image": "scene.png"}},
                        "2": {"class_type": name, "inputs": {"image": ["1", 0], "prompt": "make the red circle blue", "seed": 1, "steps": 0, **inputs}},
                        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}}}, self.nodes)["2"][0]

    def jobs(self, status):
        return ask("GET", f"{self.service.url}/v1/jobs?status={status}")[2]["data"]

    def test_the_workflow_edits_twice(self):
        execute(self.workflow, self.nodes)
        saved, = SaveImage.saved
        self.assertEqual(saved.shape, (1, 64, 64, 3))
        circle, background = saved[0, 10:22, 10:22].mean((0, 1)), saved[0, 34:62, 2:22].mean((0, 1))
        self.assertEqual((circle.argmax(), background.argmax()), (2, 1), (circle, background))  # blue, on green

    def test_the_drawn_workflow_is_the_same(self):
        drawn = json.loads((COMFYUI / "workflow.json").read_text())
        self.assertEqual(as_api(drawn, self.nodes), self.workflow)
        slots = {node["id"]: node for node in drawn["nodes"]}
        for link, source, output, target, place, kind in drawn["links"]:
            self.assertIn(link, slots[source]["outputs"][output]["links"])
            self.assertEqual((slots[target]["inputs"][place]["link"], slots[target]["inputs"][place]["type"]), (link, kind))

    def test_every_node_keeps_the_contract(self):
        self.assertEqual(set(self.package.NODE_CLASS_MAPPINGS), set(self.package.NODE_DISPLAY_NAME_MAPPINGS))
        for cls in self.package.NODE_CLASS_MAPPINGS.values():
            self.assertTrue(callable(getattr(cls(), cls.FUNCTION)) and cls.CATEGORY)
            json.dumps(cls.INPUT_TYPES())  # ComfyUI sends them to its page

    def test_both_nodes_make_the_same_picture_and_say_how_far_they_are(self):
        pictures = []
        for name in ("HoldallEdit", "HoldallEditJob"):
            self.host.progress = []
            pictures.append(self.node(name, steps=40))
            self.assertEqual(self.host.progress, sorted(self.host.progress))
            self.assertGreater(len(set(self.host.progress)), 1, name)
            self.assertEqual({total for _, total in self.host.progress}, {40})
        torch.testing.assert_close(*pictures, rtol=0, atol=0)

    def test_a_batch_is_edited_picture_by_picture(self):
        node = self.package.NODE_CLASS_MAPPINGS["HoldallEdit"]()
        both, = node.edit(torch.cat([self.scene, 1 - self.scene]), "make the red circle blue", 1, 0)
        self.assertEqual(both.shape, (2, 64, 64, 3))
        torch.testing.assert_close(both[:1], self.node("HoldallEdit"), rtol=0, atol=0)

    def test_a_mask_keeps_the_rest_and_an_empty_one_is_none(self):
        node = self.package.NODE_CLASS_MAPPINGS["HoldallEdit"]()
        mask = torch.zeros(1, 64, 64)
        mask[:, :, :32] = 1
        masked, free = (node.edit(self.scene, "make the background light green", 1, 0, mask=m)[0] for m in (mask, self.empty_mask))
        kept = [float((result - self.scene)[:, 2:22, 42:62].abs().mean()) for result in (masked, free)]
        self.assertLess(kept[0], 0.06)
        self.assertGreater(kept[1], 0.06)

    def test_more_pictures_are_sent_along(self):
        node = self.package.NODE_CLASS_MAPPINGS["HoldallEdit"]()
        one, two = (node.edit(self.scene, "make the background light green", 1, 0, image2=more)[0] for more in (None, 1 - self.scene))
        self.assertFalse(torch.equal(one, two))

    def test_interrupting_frees_the_device(self):
        for name in ("HoldallEdit", "HoldallEditJob"):
            self.host.asked, self.host.interrupt_at = 0, 3
            with self.assertRaises(Interrupted):
                self.node(name, steps=500, seed=9)
            self.host.interrupt_at = None
            self.node(name, seed=2)
        metrics = ask("GET", self.service.url + "/metrics")[2].decode()
        self.assertIn('holdall_http_requests_total{code="499",method="POST",route="/v1/images/edits"} 1', metrics)
        self.assertEqual([job["status"] for job in self.jobs("cancelled")], ["cancelled"])

    def test_a_refusal_says_why(self):
        for name in ("HoldallEdit", "HoldallEditJob"):
            with self.assertRaisesRegex(RuntimeError, "400: 'prompt' is required"):
                self.node(name, prompt="")

    def test_a_service_that_is_not_there_is_named(self):
        os.environ["HOLDALL_URL"] = "http://127.0.0.1:9"
        self.addCleanup(os.environ.__setitem__, "HOLDALL_URL", self.service.url)
        with self.assertRaisesRegex(RuntimeError, "cannot reach the edit service at http://127.0.0.1:9/v1/images/edits: .*HOLDALL_URL"):
            self.node("HoldallEdit")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
