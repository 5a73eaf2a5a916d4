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
with Image.open(PHOTO) as photo:
    PHOTO_SIZE = photo.size


def picture_of(reply, index=0):
    return Image.open(io.BytesIO(base64.b64decode(reply.data[index].b64_json)))


def png_of(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


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

    def masked(self, mask, **options):
        with PHOTO.open("rb") as photo:
            return self.edit(image=photo, mask=("mask.png", mask), prompt="a hat", size="64x64", extra_body={"seed": 5, **options})

    def test_a_mask_is_transparent_or_white_where_it_is_repainted(self):
        def half(mode, kept, painted, side):
            mask = Image.new(mode, PHOTO_SIZE, kept)
            width, height = PHOTO_SIZE
            mask.paste(painted, (width // 2 * side, 0, width // 2 * (side + 1), height))
            return picture_of(self.masked(png_of(mask), strength=1.0)).tobytes()

        left = half("RGBA", (0, 0, 0, 255), (0, 0, 0, 0), 0)
        self.assertEqual(left, half("L", 0, 255, 0))
        self.assertNotEqual(left, half("L", 0, 255, 1))

    def test_masks_that_cannot_be_used_are_bad_requests(self):
        for mask in (png_of(Image.new("L", PHOTO_SIZE, 0)), png_of(Image.new("L", PHOTO_SIZE, 255)), png_of(Image.new("L", (8, 8), 255)), b"text"):
            with self.assertRaises(openai.BadRequestError) as caught:
                self.masked(mask)
            self.assertEqual(caught.exception.param, "mask", caught.exception.message)

    def test_too_many_pixels_are_413(self):
        with self.assertRaises(openai.APIStatusError) as caught:
            self.edit(image=("large.png", png_of(Image.new("L", (8000, 8000)))), prompt="x")
        self.assertEqual((caught.exception.status_code, caught.exception.code, caught.exception.param), (413, "image_too_large", "image"))

    def test_usage_counts_what_was_read_and_made(self):
        with PHOTO.open("rb") as photo:
            usage = self.edit(image=photo, prompt="brighter", size="64x48", n=2).usage
        self.assertEqual(usage.output_tokens, 2 * 4 * 3)
        self.assertGreater(usage.input_tokens_details.text_tokens, 1)
        self.assertGreater(usage.input_tokens_details.image_tokens, 1)
        self.assertEqual(usage.total_tokens, usage.input_tokens + usage.output_tokens)

    def test_a_stream_shows_the_picture_while_it_is_made(self):
        with PHOTO.open("rb") as photo:
            options = dict(image=photo.read(), prompt="brighter", size="64x48", extra_body={"seed": 3})
        events = list(self.edit(stream=True, partial_images=2, **options))
        self.assertEqual([event.type for event in events], ["image_edit.partial_image"] * 2 + ["image_edit.completed"])
        self.assertEqual([event.partial_image_index for event in events[:2]], [0, 1])
        pictures = [Image.open(io.BytesIO(base64.b64decode(event.b64_json))) for event in events]
        self.assertEqual({picture.size for picture in pictures}, {(64, 48)})
        self.assertEqual(len({picture.tobytes() for picture in pictures}), 3)
        self.assertEqual(pictures[2].tobytes(), picture_of(self.edit(**options)).tobytes())
        self.assertEqual(events[2].usage.output_tokens, 4 * 3)

    def test_the_reply_says_what_made_the_picture(self):
        with PHOTO.open("rb") as photo:
            reply = self.client.images.with_raw_response.edit(image=photo, prompt="brighter", size="64x48")
        text = picture_of(reply.parse()).text
        self.assertEqual(text["holdall:model_outline_sha256"], reply.headers["x-model-digest"])
        self.assertEqual(len(reply.headers["x-model-digest"]), 64)

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
