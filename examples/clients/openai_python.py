#!/usr/bin/env python3
"""Edits pictures with OpenAI's own client, unmodified (pip install openai), into the working folder.

BASE_URL (http://127.0.0.1:8080) and API_KEY as for curl.sh. A program that you cannot change takes OPENAI_BASE_URL (with /v1) and
OPENAI_API_KEY instead.
"""
import base64
import os
import pathlib

import openai

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
SCENES = EXAMPLES / "starter-model/checkpoint/golden"
PICTURE, ANOTHER, MASK = SCENES / "recolour.png", SCENES / "replace.png", EXAMPLES / "clients/mask.png"

client = openai.OpenAI(base_url=os.environ.get("BASE_URL", "http://127.0.0.1:8080") + "/v1",
                       api_key=os.environ.get("API_KEY", "none"))  # a service without --keys asks for none
MODEL = client.models.list().data[0].id


def save(name, picture):
    """`picture`: of a reply's data or of an event."""
    pathlib.Path(name).write_bytes(base64.b64decode(picture.b64_json))
    print(name)


def edit():
    # What OpenAI's API does not have, such as the seed, goes into extra_body.
    reply = client.images.edit(model=MODEL, image=PICTURE, prompt="make the red circle blue", extra_body={"seed": 1})
    save("edited.png", reply.data[0])


def edit_with_a_mask():
    reply = client.images.edit(model=MODEL, image=PICTURE, mask=MASK, prompt="make the background light green", extra_body={"seed": 1})
    save("masked.png", reply.data[0])


def edit_several_pictures():
    # One result from all of them; the last one gives its shape. n: as many results, each with a seed of its own.
    reply = client.images.edit(model=MODEL, image=[PICTURE, ANOTHER], prompt="make the background light green", n=2, extra_body={"seed": 1})
    for i, picture in enumerate(reply.data):
        save(f"several-{i + 1}.png", picture)


def edit_and_watch():
    events = client.images.edit(model=MODEL, image=PICTURE, prompt="make the red circle blue", stream=True, partial_images=2)
    for i, event in enumerate(events):  # image_edit.partial_image, and at the end image_edit.completed
        save(f"streamed-{i + 1}.png", event)


def show_errors():
    try:
        client.images.edit(model=MODEL, image=PICTURE, prompt="make it larger", size="huge")
    except openai.BadRequestError as error:
        print(f"{error.status_code} {error.param}: {error.body['message']}")
    try:
        client.with_options(timeout=30, max_retries=0).images.edit(  # the default: twice again for 429 and 5xx
            model="another-model", image=PICTURE, prompt="make the red circle blue")
    except openai.NotFoundError as error:
        print(f"{error.status_code} {error.code}: {error.body['message']}")


if __name__ == "__main__":
    edit()
    edit_with_a_mask()
    edit_several_pictures()
    edit_and_watch()
    show_errors()
