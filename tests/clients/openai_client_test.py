"""The openai client, unmodified, against the real service with the random model.

usage: openai_client_test.py BIN MODEL PHOTO
"""
import base64
import io
import json
import pathlib
import subprocess
import sys
import time
import unittest
import urllib.request

import openai
from PIL import Image

BIN, MODEL, PHOTO = (pathlib.Path(argument) for argument in sys.argv[1:4])


def picture_of(reply, index=0):
    return Image.open(io.BytesIO(base64.b64decode(reply.data[index].b64_json)))


class OpenAIClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = subprocess.Popen(
            [BIN / "holdall-edit", "serve", "--model", MODEL, "--port", "0", "--health-port", "0", "--device", "cpu"],
            stderr=subprocess.PIPE, text=True)
        listening = json.loads(cls.service.stderr.readline())
        assert listening["event"] == "listening", listening
        # Nobody else reads the log: keep the pipe from filling up.
        cls.drain = subprocess.Popen(["cat"], stdin=cls.service.stderr, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                if urllib.request.urlopen(listening["health_url"] + "/readyz").status == 200:
                    break
            except OSError:
                if time.monotonic() > deadline or cls.service.poll() is not None:
                    raise
                time.sleep(0.05)
        cls.client = openai.OpenAI(base_url=listening["url"] + "/v1", api_key="unused", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.service.terminate()
        assert cls.service.wait(30) == 0, "SIGTERM did not end in exit 0"
        cls.drain.wait(10)

    def edit(self, **options):
        return self.client.images.edit(model=self.client.models.list().data[0].id, **options)

    def test_models_are_listed_and_found_by_name(self):
        models = self.client.models.list().data
        self.assertEqual([model.id for model in models], ["holdall-demo"])
        self.assertEqual(self.client.models.retrieve(models[0].id).id, models[0].id)

    def test_an_unknown_model_is_not_found(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.models.retrieve("gpt-image-1")
        self.assertEqual(caught.exception.type, "invalid_request_error")
        with PHOTO.open("rb") as photo, self.assertRaises(openai.NotFoundError):
            self.client.images.edit(image=photo, prompt="x", model="gpt-image-1")

    def test_making_a_picture_from_nothing_is_a_bad_request(self):
        with self.assertRaises(openai.BadRequestError):
            self.client.images.generate(prompt="x")

    def test_a_picture_is_edited(self):
        with PHOTO.open("rb") as photo:
            reply = self.edit(image=photo, prompt="make the background blue", extra_body={"seed": 7})
        picture = picture_of(reply)
        self.assertEqual(picture.format, "PNG")
        self.assertEqual(f"{picture.width}x{picture.height}", reply.size)
        self.assertGreater(reply.created, 0)

    def test_a_seed_reproduces_and_another_differs(self):
        pictures = []
        for seed in (1, 1, 2):
            with PHOTO.open("rb") as photo:
                pictures.append(picture_of(self.edit(image=photo, prompt="add a star", extra_body={"seed": seed})).tobytes())
        self.assertEqual(pictures[0], pictures[1])
        self.assertNotEqual(pictures[0], pictures[2])

    def test_a_list_of_pictures_is_edited(self):
        with PHOTO.open("rb") as one, PHOTO.open("rb") as two:
            reply = self.edit(image=[one, two], prompt="把两张图合在一起", extra_body={"seed": 3})
        self.assertEqual(picture_of(reply).format, "PNG")

    def test_size_and_output_format_are_honoured(self):
        with PHOTO.open("rb") as photo:
            reply = self.edit(image=photo, prompt="brighter", size="64x48", output_format="jpeg", n=2)
        self.assertEqual(len(reply.data), 2)
        self.assertEqual((picture_of(reply).format, picture_of(reply).size), ("JPEG", (64, 48)))
        self.assertEqual(reply.output_format, "jpeg")

    def test_the_clients_other_options_are_taken(self):
        with PHOTO.open("rb") as photo:
            reply = self.edit(image=photo, prompt="brighter", size="auto", quality="auto", background="opaque",
                              response_format="b64_json", output_format="webp", output_compression=50)
        self.assertEqual((picture_of(reply).format, reply.output_format), ("WEBP", "webp"))

    def test_a_broken_picture_is_a_bad_request_that_names_the_field(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.edit(image=("photo.png", b"\x89PNG\r\n\x1a\nnothing more"), prompt="x")
        self.assertEqual(caught.exception.param, "image")

    def test_an_empty_prompt_is_a_bad_request_that_names_the_field(self):
        with PHOTO.open("rb") as photo, self.assertRaises(openai.BadRequestError) as caught:
            self.edit(image=photo, prompt="")
        self.assertEqual(caught.exception.param, "prompt")

    def test_an_unknown_field_is_a_bad_request_that_names_it(self):
        with PHOTO.open("rb") as photo, self.assertRaises(openai.BadRequestError) as caught:
            self.edit(image=photo, prompt="x", extra_body={"colour": "red"})
        error = caught.exception
        self.assertEqual((error.param, error.code, error.type), ("colour", "unknown_field", "invalid_request_error"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
