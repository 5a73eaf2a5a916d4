"""ComfyUI nodes that edit pictures on a holdall-edit service. Copy this folder into ComfyUI's custom_nodes/ and restart it.

HOLDALL_URL (http://127.0.0.1:8080) and HOLDALL_API_KEY are read from ComfyUI's environment: what is typed into a node is
saved in every picture that the workflow makes. Needs nothing that ComfyUI does not have.
"""
import base64
import io
import json
import os
import time
import urllib.error
import urllib.request

import numpy as np
import torch
from PIL import Image

import comfy.model_management
import comfy.utils

POLL_SECONDS = 0.5
SILENCE_SECONDS = 60  # a stream has a heartbeat every 15


def ask(method, path, body=None, **headers):
    """The open reply; `path` may be a whole address. Raises RuntimeError with what the service says."""
    address = os.environ.get("HOLDALL_URL", "http://127.0.0.1:8080").rstrip("/") + path
    if key := os.environ.get("HOLDALL_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        return urllib.request.urlopen(
            urllib.request.Request(address, data, {"Content-Type": "application/json", **headers}, method=method),
            timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            text = json.loads(text)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            text = error.reason
        raise RuntimeError(f"the edit service refused with {error.code}: {text}") from None
    except urllib.error.URLError as error:
        raise RuntimeError(f"cannot reach the edit service at {address}: {error.reason}: is HOLDALL_URL right?") from None


def data_url(values):
    """Of a picture (H, W, 3) or a mask (H, W), 0 to 1."""
    file = io.BytesIO()
    Image.fromarray((values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def picture(reply):
    """(1, H, W, 3) from 0 to 1, of what has b64_json."""
    with Image.open(io.BytesIO(base64.b64decode(reply["b64_json"]))) as image:
        return torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32) / 255)[None]


class Edit:
    """One edit for each picture of the batch. Interrupting ends it on the service within a step."""

    CATEGORY = "image/edit"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "edit"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "prompt": ("STRING", {"multiline": True, "default": ""}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF, "control_after_generate": True}),
                "steps": ("INT", {"default": 0, "min": 0, "max": 500, "tooltip": "0: the model's own number"}),
            },
            "optional": {
                "mask": ("MASK", {"tooltip": "what is white is repainted; nothing white: everything"}),
                "image2": ("IMAGE",),
                "image3": ("IMAGE",),
            },
        }

    def edit(self, image, prompt, seed, steps, mask=None, image2=None, image3=None):
        more = [data_url(other[0]) for other in (image2, image3) if other is not None]
        results = []
        for i, one in enumerate(image):
            request = {"image": [data_url(one[..., :3]), *more], "prompt": prompt, "seed": (seed + i) % 2**64}
            if steps:
                request["num_inference_steps"] = steps
            if mask is not None and mask.any():  # Load Image gives an empty one, of another size, where nothing was painted
                request["mask"] = data_url(mask[min(i, len(mask) - 1)])
            results.append(self.ask(request))
        return (torch.cat(results),)

    def ask(self, request):
        bar = result = None
        with ask("POST", "/v1/images/edits", {**request, "stream": True, "progress": True}) as events:
            for line in events:
                comfy.model_management.throw_exception_if_processing_interrupted()  # leaving closes the stream
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(f"the edit failed: {event['error']['message']}")
                if event["type"] == "image_edit.progress":
                    bar = bar or comfy.utils.ProgressBar(event["total"])
                    bar.update_absolute(event["step"], event["total"])
                elif event["type"] == "image_edit.completed":
                    result = picture(event)
        if result is None:
            raise RuntimeError("the edit service closed the stream before the picture came: ask again")
        return result


class EditJob(Edit):
    """The same as a job of the service (started with --state): it survives a restart of the service or its worker."""

    def ask(self, request):
        with ask("POST", "/v1/images/edits", request, Prefer="respond-async") as reply:
            job = reply.headers["Location"]
        bar = None
        try:
            while True:
                with ask("GET", job) as reply:
                    state = json.load(reply)
                if state["status"] == "succeeded":
                    return picture(state["result"]["data"][0])
                if state["status"] not in ("queued", "running"):
                    raise RuntimeError(f"the edit {state['status']}: {state.get('error', {}).get('message', 'no reason is known')}")
                if state.get("total_steps"):
                    bar = bar or comfy.utils.ProgressBar(state["total_steps"])
                    bar.update_absolute(state["step"], state["total_steps"])
                comfy.model_management.throw_exception_if_processing_interrupted()
                time.sleep(POLL_SECONDS)
        except comfy.model_management.InterruptProcessingException:
            ask("DELETE", job).close()
            raise


NODE_CLASS_MAPPINGS = {"HoldallEdit": Edit, "HoldallEditJob": EditJob}
NODE_DISPLAY_NAME_MAPPINGS = {"HoldallEdit": "Edit (Holdall)", "HoldallEditJob": "Edit as a job (Holdall)"}
