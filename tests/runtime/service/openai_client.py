"""The unmodified openai client against a running service: openai_client.py URL. Exits 1 at the first surprise."""
import base64
import io
import sys

import openai

url = sys.argv[1]
client = openai.OpenAI(base_url=url + "/v1", api_key="unused", max_retries=0)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def expect(condition, what):
    if not condition:
        sys.exit(f"openai_client.py: {what}")


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    sys.exit(f"openai_client.py: no {kind.__name__}")


model = client.models.list().data[0].id
expect(client.models.retrieve(model).id == model, "the model cannot be retrieved by its id")

one = client.images.edit(image=io.BytesIO(PICTURE), prompt="p", model=model, extra_body={"seed": 3})
expect(base64.b64decode(one.data[0].b64_json) == PICTURE, "the picture did not survive")
expect(one.output_format == "png" and one.created > 0 and one.size == "64x32", f"odd reply: {one.size}")

several = client.images.edit(image=[("a.png", PICTURE), ("b.png", b"B")], prompt="p", n=2, size="auto", quality="auto",
                             background="opaque", output_format="webp", output_compression=50, response_format="b64_json")
expect(len(several.data) == 2 and several.output_format == "webp", "n or output_format was not honoured")

bad = raised(openai.BadRequestError, lambda: client.images.edit(image=PICTURE, prompt="p", extra_body={"sede": 1}))
expect(bad.param == "sede" and bad.code == "unknown_field" and bad.type == "invalid_request_error", f"odd error: {bad.body}")
raised(openai.NotFoundError, lambda: client.images.edit(image=PICTURE, prompt="p", model="gpt-image-1"))
raised(openai.BadRequestError, lambda: client.images.generate(prompt="p"))
raised(openai.InternalServerError, lambda: client.images.edit(image=PICTURE, prompt="oom"))
print("the openai client " + openai.__version__ + " is served")
