"""examples/proxies: real nginx and HAProxy before two instances, one of which is replaced while clients keep asking.

usage: proxies_test.py BIN MODEL EXAMPLES SERVERS
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

from service import Service, ask, edit, edit_body, free_port, wait_for

BIN, MODEL, EXAMPLES, SERVERS = (pathlib.Path(argument) for argument in sys.argv[1:5])  # the last: a folder for each server
PICTURE = MODEL / "golden/recolour.png"
NOBODY = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}


class Instance(Service):
    """One of those behind the proxy; `places` has the ports of the API and of the health listener."""

    def __init__(self, folder, places, log):
        super().__init__(BIN, MODEL, "--port", str(places[0]), "--health-port", str(places[1]), "--state", folder / "state",
                         "--keys", folder / "keys.json", log=log)

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (.*)$", ask("GET", self.health_url + "/metrics")[2].decode(), re.M)
        return float(found[1]) if found else 0

    def is_busy(self):
        return self.metric("holdall_jobs_inflight") > 0

    def is_in_use(self):
        """It gets more than what all clients together have sent before a proxy missed the one that was here before."""
        return self.metric('holdall_http_requests_total{code="200",method="POST",route="/v1/images/edits"}') > 4


class Clients:
    """Ask until the block ends, some for edits and one for streams; `answers` says how each ended."""

    def __init__(self, url, key, edits=3):
        self.url, self.headers, self.stop, self.answers = url, {"X-Api-Key": key}, threading.Event(), []
        self.threads = [threading.Thread(target=self.repeat, args=(what,)) for what in [self.edit] * edits + [self.follow]]

    def repeat(self, what):
        while not self.stop.is_set():
            try:
                self.answers.append(what())
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(repr(error))

    def edit(self):
        status, _, body = edit(self.url, PICTURE, self.headers)
        return "edited" if status == 200 and body["data"][0]["b64_json"] else f"{status} {body}"

    def follow(self):
        events = [name for _, name in follow(self.url, self.headers, steps=20)]
        return "followed" if events[-1] == "image_edit.completed" else f"a stream that ends with {events[-1]}"

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def follow(url, headers, steps):
    """[(seconds until it came, name)] of the events of an edit."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    started = time.monotonic()
    connection.request("POST", "/v1/images/edits", edit_body(PICTURE, stream=True, progress=True, num_inference_steps=steps),
                       {"Content-Type": "application/json", **headers})
    reply = connection.getresponse()
    events = [(time.monotonic() - started, line.split()[1].decode()) for line in reply if line.startswith(b"event: ")]
    connection.close()
    return events or [(0.0, str(reply.status))]


class Proxied(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.key, cls.limited = (subprocess.run(
            [BIN / "holdall-edit", "keys", "add", "--keys", cls.folder / "keys.json", "--name", name, "--role", "editor", *limits],
            check=True, capture_output=True, text=True).stdout.strip() for name, limits in (("a", []), ("b", ["--qps", "0.01"])))
        cls.log = cls.enterClassContext((cls.folder / "log").open("w+"))
        cls.places = [(free_port(), free_port()) for _ in range(2)]
        cls.instances = [Instance(cls.folder, places, cls.log) for places in cls.places]
        cls.addClassCleanup(lambda: [instance.__exit__() for instance in cls.instances])
        for instance in cls.instances:
            instance.__enter__()
        cls.start_proxy()

    @classmethod
    def start_proxy(cls):
        port = free_port()
        cls.url = f"http://127.0.0.1:{port}"
        ports = {"8000": port, **{f"80{i + 8}{j}": cls.places[i][j] for i in range(2) for j in range(2)}}
        # A folder, a configuration and a program that nobody may read: the caches may be in root's home.
        home = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        config = (EXAMPLES / "proxies" / cls.config).read_text()
        (home / cls.config).write_text(re.sub(r"\b80[0-9]{2}\b", lambda match: str(ports[match[0]]), config))
        program = shutil.copy(SERVERS / cls.name / "usr/sbin" / cls.name, home)
        if NOBODY:
            shutil.chown(home, **NOBODY)
        log = cls.enterClassContext((cls.folder / "proxy.log").open("w"))
        process = subprocess.Popen([program, *(argument.format(home=home) for argument in cls.arguments)], cwd=home,
                                   stdout=log, stderr=log, **NOBODY)
        cls.addClassCleanup(lambda: (process.terminate(), process.wait(30)))
        wait_for(lambda: cls.ask("GET", "/v1/models")[0] == 200, "the proxy, which says: " + (cls.folder / "proxy.log").read_text())

    @classmethod
    def ask(cls, method, path, body=None, key=None, **headers):
        return ask(method, cls.url + path, body, {"X-Api-Key": key or cls.key, **headers})

    def raw(self, request):
        """All that comes back, at the proxy, until the connection ends or has been silent for a second."""
        with socket.create_connection(("127.0.0.1", int(self.url.rsplit(":", 1)[1]))) as connection:
            connection.sendall(request)
            connection.settimeout(1)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except TimeoutError:
                pass
        return answer.decode(errors="replace")

    def test_no_request_fails_while_each_instance_is_replaced(self):
        with Clients(self.url, self.key) as clients:
            for i, places in enumerate(self.places):
                wait_for(self.instances[i].is_busy, "an edit that is on its way")
                self.instances[i].__exit__()  # SIGTERM, and exit 0
                self.instances[i] = Instance(self.folder, places, self.log).__enter__()
                wait_for(self.instances[i].is_in_use, "the new instance to get edits")
        self.assertEqual(set(clients.answers), {"edited", "followed"}, (self.folder / "proxy.log").read_text())
        self.assertGreater(len(clients.answers), 20)
        events = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        drains = [i for i, event in enumerate(events) if event.get("event") == "draining"]
        self.assertEqual(len(drains), 2)
        self.assertTrue(all(events[i]["connections"] > 0 for i in drains), "nothing was on its way")

    def test_streams_arrive_piece_by_piece(self):
        events = follow(self.url, {"X-Api-Key": self.key}, steps=60)
        self.assertGreater(len(events), 60)
        self.assertEqual(events[-1][1], "image_edit.completed")
        self.assertLess(events[5][0], events[-1][0] / 2, events)
        self.assertGreater(len({round(at, 2) for at, _ in events}), 10, events)

    def test_a_job_is_found_whichever_instance_took_it(self):
        status, headers, _ = edit(self.url, PICTURE, {"X-Api-Key": self.key, "Prefer": "respond-async"}, num_inference_steps=20)
        self.assertEqual(status, 202)
        seen = []
        while not seen or seen[-1] in ("queued", "running"):
            status, _, job = self.ask("GET", headers["Location"])
            self.assertEqual(status, 200, job)
            seen.append(job["status"])
        self.assertEqual(seen[-1], "succeeded")
        self.assertGreater(len(seen), 4)

    def test_refusals_come_through_as_the_service_made_them(self):
        large = b"x" * (65 << 20)
        status, _, body = self.ask("POST", "/v1/images/edits", large, **{"Content-Type": "application/json"})
        self.assertEqual((status, body["error"]["code"]), (413, "body_too_large"))
        for _ in range(10):  # one for each instance is admitted
            status, headers, body = edit(self.url, PICTURE, {"X-Api-Key": self.limited})
            if status != 200:
                break
        self.assertEqual((status, body["error"]["type"]), (429, "rate_limit_error"))
        self.assertGreater(int(headers["Retry-After"]), 0)
        self.assertEqual(headers["x-ratelimit-remaining-requests"], "0")

    def test_requests_cannot_be_smuggled(self):
        hidden = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        size = b"Content-Length: %d\r\n" % (len(hidden) + 5)
        chunked = b"Transfer-Encoding: chunked\r\n"
        for lines in (size + chunked, chunked + size, size + b"Content-Length: 5\r\n", b"Content-Length: 5\r\n" + size,
                      b"Content-Length: 5, 50\r\n", b"Transfer-Encoding: xchunked\r\n" + size):
            answer = self.raw(b"POST /v1/images/edits HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n0\r\n\r\n" + hidden)
            self.assertRegex(answer, r"^HTTP/1\.[01] (400|401|415|501) ", lines)
        self.assertNotIn("/smuggled", (self.folder / "log").read_text())

    def test_probes_and_metrics_are_not_for_the_world(self):
        for path in ("/metrics", "/livez", "/readyz", "/startupz", "/health", "/v2/health/ready"):
            self.assertEqual(self.ask("GET", path)[0], 404, path)

    def test_addresses_of_pictures_lead_through_the_proxy(self):
        _, _, body = edit(self.url, PICTURE, {"X-Api-Key": self.key}, response_format="url")
        self.assertEqual(body["data"][0]["url"].split("/v1/")[0], self.url)
        for _ in range(2):
            self.assertEqual(ask("GET", body["data"][0]["url"])[2][1:4], b"PNG")


class Nginx(Proxied):
    name, config, arguments = "nginx", "nginx.conf", ["-p", "{home}", "-c", "{home}/nginx.conf", "-g", "daemon off;"]


class HAProxy(Proxied):
    name, config, arguments = "haproxy", "haproxy.cfg", ["-f", "{home}/haproxy.cfg"]


del Proxied  # it has no program
if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
