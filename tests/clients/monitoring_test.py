"""examples/monitoring with promtool and a real Prometheus that scrapes the service: all that it asks for is there.

usage: monitoring_test.py BIN MODEL EXAMPLES PROMETHEUS
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from service import Service, edit, free_port, wait_for

BIN, MODEL, EXAMPLES, PROMETHEUS = (pathlib.Path(argument) for argument in sys.argv[1:5])  # the last: its programs' folder
HERE = pathlib.Path(__file__).resolve().parent
MONITORING = EXAMPLES / "monitoring"
OURS = re.compile(r"\bholdall_[a-z_]+")
RECORDED = re.compile(r"\bholdall:[a-z_:0-9]+")


def get(url):
    with urllib.request.urlopen(url, timeout=30) as reply:
        return reply.read().decode()


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        run = subprocess.run([PROMETHEUS / "promtool", *arguments], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_are_well_formed(self):
        self.promtool("check", "rules", MONITORING / "alerts.yml")
        self.promtool("check", "config", MONITORING / "prometheus.yml")

    def test_fire_on_what_they_are_for_and_on_nothing_else(self):
        self.promtool("test", "rules", HERE / "alerts_test.yml")

    def test_have_each_a_case_that_fires_and_one_that_does_not(self):
        alerts = re.findall(r"^ *- alert: (\w+)", (MONITORING / "alerts.yml").read_text(), re.M)
        cases = (HERE / "alerts_test.yml").read_text()
        self.assertGreater(len(alerts), 5)
        for alert in alerts:
            self.assertRegex(cases, rf"alertname: {alert}\n +exp_alerts:", alert)
            self.assertRegex(cases, rf"alertname: {alert}}}", alert)


class Scraped(unittest.TestCase):
    """A service that has edited, repeated, refused a key and lost its worker, its upstream being gone, and a Prometheus that has
    seen it."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        key = subprocess.run([BIN / "holdall-edit", "keys", "add", "--keys", folder / "keys.json", "--name", "e", "--role", "editor"],
                             check=True, capture_output=True, text=True).stdout.strip()
        (folder / "config.json").write_text(json.dumps({"upstream": {"url": f"http://127.0.0.1:{free_port()}/v1"}}))
        cls.service = cls.enterClassContext(Service(BIN, MODEL, "--state", folder / "state", "--keys", folder / "keys.json",
                                                    "--config", folder / "config.json"))
        picture = MODEL / "golden/recolour.png"
        for token in (key, key, "nobody's"):
            status, _, _ = edit(cls.service.url, picture, headers={"Authorization": f"Bearer {token}"}, seed="1")
            assert status == (200 if token == key else 401), status

        for name in ("prometheus.yml", "alerts.yml"):
            (folder / name).write_text((MONITORING / name).read_text())
        config = (folder / "prometheus.yml").read_text()
        target = cls.service.health_url.removeprefix("http://")
        assert "'127.0.0.1:8081'" in config
        # Our port instead of the default, and seconds instead of minutes.
        (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:8081", target).replace("15s", "1s"))
        cls.url = f"http://127.0.0.1:{free_port()}"
        log = (folder / "prometheus.log").open("w")
        process = subprocess.Popen(
            [PROMETHEUS / "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             "--web.listen-address=" + cls.url.removeprefix("http://")], stdout=log, stderr=log)
        cls.addClassCleanup(lambda: (process.terminate(), process.wait(30), log.close()))
        wait_for(lambda: get(cls.url + "/-/ready"), "Prometheus to be ready")
        wait_for(lambda: cls.query("up")[0]["value"][1] == "1", "a scrape")
        # What happens between two scrapes can be seen as a rate.
        os.kill(cls.service.worker_pid(), signal.SIGKILL)
        wait_for(lambda: cls.query("increase(holdall_worker_restarts_total{reason='crashed'}[1m])")[0]["value"][1] != "0", "the restart")
        wait_for(lambda: get(cls.service.health_url + "/readyz"), "the worker")
        for seed in ("2", "3"):
            assert edit(cls.service.url, picture, headers={"X-Api-Key": key}, seed=seed)[0] == 200
            time.sleep(2)
        cls.names = set(re.findall(r"^# TYPE (\w+)", get(cls.service.health_url + "/metrics"), re.M))

    @classmethod
    def query(cls, expression):
        url = cls.url + "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            return json.loads(get(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None

    def known(self, expression):
        for name in OURS.findall(expression):
            self.assertIn(re.sub(r"_(bucket|sum|count)$", "", name), self.names, expression)

    def test_every_target_is_up(self):
        targets = json.loads(get(self.url + "/api/v1/targets"))["data"]["activeTargets"]
        self.assertEqual([target["health"] for target in targets], ["up"], targets)

    def test_every_rule_is_evaluated_and_names_what_is_exported(self):
        rules = [rule for group in json.loads(get(self.url + "/api/v1/rules"))["data"]["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 5)
        for rule in rules:
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule)
            self.known(rule["query"])
        recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
        for rule in rules:
            self.assertLessEqual(set(RECORDED.findall(rule["query"])), recorded)

    def test_every_panel_of_the_dashboard_has_an_answer(self):
        dashboard = json.loads((MONITORING / "dashboard.json").read_text())
        expressions = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
        expressions += [("annotation", item["expr"]) for item in dashboard["annotations"]["list"]]
        self.assertGreater(len(expressions), 20)
        for title, expression in expressions:
            self.known(expression)
            asked = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
            self.assertNotIn("$", asked)
            answer = self.query(asked)
            self.assertTrue(answer, f"{title}: no data for {asked}")
        busy = next(e for t, e in expressions if t == "Device busy").replace("$instance", ".*")
        self.assertGreater(float(self.query(busy)[0]["value"][1]), 0)

    def test_the_dashboard_names_panels_once_and_in_their_places(self):
        panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
