"""The openai client, unmodified, against the real service with the random model.

usage: openai_client_test.py BIN MODEL PHOTO
"""
import base64
import io
import json
import pathlib
import shutil
import sys
import tempfile
import unittest
import urllib.request

import openai
from PIL import Image

from service import Service

BIN, MODEL, PHOTO = (pathlib.Path(argument) for argument in sys.argv[1:4])
with Image.open(PHOTO) as photo:
    PHOTO_SIZE = photo.size


def picture_of(reply, index=0):
    return Image.open(io.BytesIO(base64.b64decode(reply.data[index].b64_json)))


def png_of(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def client_of(service):
    return openai.OpenAI(base_url=service.url + "/v1", api_key="unused", max_retries=0)


class OpenAIClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service(BIN, MODEL, "--state", cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.enterClassContext(cls.service)
        cls.client = client_of(cls.service)

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

    def test_pictures_have_addresses_where_that_is_asked_for(self):
        with PHOTO.open("rb") as photo:
            options = dict(image=photo.read(), prompt="brighter", size="64x48", extra_body={"seed": 3})
        reply = self.edit(response_format="url", **options)
        self.assertIsNone(reply.data[0].b64_json)
        with urllib.request.urlopen(reply.data[0].url) as answer:
            fetched = Image.open(io.BytesIO(answer.read()))
        self.assertEqual(fetched.tobytes(), picture_of(self.edit(**options)).tobytes())

    def test_chats_are_not_found_with_the_reason(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hello"}])
        self.assertIn("'holdall-demo' for '/v1/images/edits'", caught.exception.message)

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


class FromText(unittest.TestCase):
    """The same weights under the class of a model from text to image."""

    @classmethod
    def setUpClass(cls):
        model = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "model"
        shutil.copytree(MODEL, model, ignore=shutil.ignore_patterns("processor"))
        index = (model / "model_index.json").read_text().replace("QwenImageEditPlusPipeline", "QwenImagePipeline")
        (model / "model_index.json").write_text(index)
        manifest = json.loads((model / "holdall.json").read_text())
        del manifest["golden"]  # an edit
        (model / "holdall.json").write_text(json.dumps(manifest))
        cls.client = client_of(cls.enterClassContext(Service(BIN, model)))

    def test_a_picture_is_made_from_nothing(self):
        reply = self.client.images.generate(prompt="a star", size="64x48", n=2, extra_body={"seed": 1})
        self.assertEqual([picture_of(reply, i).size for i in (0, 1)], [(64, 48)] * 2)
        self.assertEqual(reply.usage.input_tokens_details.image_tokens, 0)

    def test_a_stream_shows_it_while_it_is_made(self):
        events = list(self.client.images.generate(prompt="a star", size="64x48", stream=True, partial_images=1))
        self.assertEqual([event.type for event in events], ["image_generation.partial_image", "image_generation.completed"])

    def test_a_picture_is_started_from(self):
        with PHOTO.open("rb") as photo:
            reply = self.client.images.edit(image=photo, prompt="a star", size="64x48", extra_body={"strength": 0.5})
        self.assertEqual(picture_of(reply).size, (64, 48))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
