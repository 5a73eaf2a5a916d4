#!/usr/bin/env python3
"""A classifier for policy.classifier_url: says what a service's content policy does not allow.

It speaks OpenAI's moderations API, with nothing but Python: text is scored by a list of words, pictures by a list of SHA-256
digests. Both files are read for each question, so that they can be changed at any time. A model of your own goes where
`score_text` and `score_picture` are.
"""
import argparse
import base64
import hashlib
import http.server
import json
import pathlib

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--port", type=int, default=9000, help="on 127.0.0.1; 0: any free one (default: 9000)")
parser.add_argument("--words", type=pathlib.Path, help="file of words, one a line")
parser.add_argument("--pictures", type=pathlib.Path, help="file of pictures' SHA-256 digests, one a line, as sha256sum writes them")
options = parser.parse_args()


def lines(file):
    return [line.strip() for line in file.read_text().splitlines() if line.strip()] if file else []


def score_text(text):
    """Of each category, from 0 (harmless) to 1."""
    return {"words": float(any(word.casefold() in text.casefold() for word in lines(options.words)))}


def score_picture(encoded):
    """The same of a PNG, JPEG or WebP."""
    listed = {line.split()[0] for line in lines(options.pictures)}
    return {"pictures": float(hashlib.sha256(encoded).hexdigest() in listed)}


def score(part):
    if part["type"] == "text":
        return score_text(part["text"])
    return score_picture(base64.b64decode(part["image_url"]["url"].partition(",")[2], validate=True))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scores = {"words": 0.0, "pictures": 0.0}
            for part in question["input"]:
                for category, value in score(part).items():
                    scores[category] = max(scores[category], value)
        except (KeyError, TypeError, ValueError) as error:
            return self.answer(400, {"error": {"message": f"cannot read the question: {error!r}", "type": "invalid_request_error"}})
        self.answer(200, {"model": "example", "results": [{"flagged": max(scores.values()) >= 0.5, "category_scores": scores}]})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing: what is asked is nobody else's business."""


with http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
    print(f"http://127.0.0.1:{server.server_port}/v1/moderations", flush=True)
    server.serve_forever()
