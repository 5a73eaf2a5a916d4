"""The page in Debian's chromium, against the service with the starter model.

usage: page_test.py BIN MODEL
With HOLDALL_SCREENSHOTS=FOLDER the pictures of the page that people judge are written there.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from playwright.sync_api import expect, sync_playwright

from service import Service

BIN, MODEL = (pathlib.Path(argument) for argument in sys.argv[1:3])
PICTURE = MODEL / "golden/recolour.png"
SHOTS = os.environ.get("HOLDALL_SCREENSHOTS")
TEST_IDS = ("files prompt submit cancel mask-toggle mask-canvas brush-size seed steps size api-key language theme progress result "
            "compare-slider history queue provenance error").split()
PATIENCE = 60_000  # ms; one thread computes the model, on a busy machine

# Of every text that shows: its contrast with the nearest background that has a colour (WCAG 2, 1.4.3).
CONTRASTS = """() => {
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return {c: n.slice(0, 3), a: n[3] ?? 1}; };
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const out = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("") || node.placeholder || "";
    const box = node.getBoundingClientRect();
    if (!text || !node.checkVisibility() || !box.width || node.closest(".sr, script, option, :disabled")) continue;
    let on = node;
    const styled = () => getComputedStyle(on);
    while (on.parentElement && rgba(styled().backgroundColor).a < .6 && styled().backgroundImage === "none") on = on.parentElement;
    const backs = styled().backgroundImage === "none" ? [styled().backgroundColor] : styled().backgroundImage.match(/rgba?\\([^)]*\\)/g);
    // What shows a picture through is seen on white and on black.
    const seen = backs.map(rgba).flatMap(({c, a}) => a > .99 ? [c] : [0, 255].map(under => c.map(v => v * a + under * (1 - a))));
    for (const back of seen) {
      const pair = [light(rgba(getComputedStyle(node).color).c), light(back)].sort((a, b) => b - a);
      out.push([(pair[0] + .05) / (pair[1] + .05), text.slice(0, 40)]);
    }
  }
  return out;
}"""

# Everything that can be operated, with the name that assistive technology reads.
NAMES = """() => [...document.querySelectorAll("button, input, select, textarea, a[href], [tabindex], progress")].map(node => ({
  id: node.id || node.outerHTML.slice(0, 60),
  name: (node.getAttribute("aria-label") || [...(node.labels ?? [])].map(label => label.textContent.trim()).join(" ") || node.textContent.trim())}))"""


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = cls.enterClassContext(Service(BIN, MODEL))
        cls.browser = cls.enterClassContext(sync_playwright()).chromium.launch(executable_path="/usr/bin/chromium")
        cls.addClassCleanup(cls.browser.close)

    def open(self, service=None, complaints=None, **options):
        """A new browser profile with the page; what the browser complains of, or asks elsewhere, fails the test."""
        service = service or self.service
        context = self.browser.new_context(**{"viewport": {"width": 1360, "height": 900}, "locale": "en-US", **options})
        self.addCleanup(context.close)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        faults, foreign = [], []
        page.on("console", lambda message: message.type in ("error", "warning") and faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith((service.url, "data:", "blob:" + service.url)) or foreign.append(request.url))
        page.goto(service.url)
        self.addCleanup(lambda: self.assertEqual((faults if complaints is None else complaints(faults), foreign), ([], [])))
        return page

    def ready(self, **options):
        page = self.open(**options)
        expect(page.locator("#state")).to_have_attribute("data-state", "ready")
        return page

    def edit(self, page, prompt="把红色的圆变成蓝色", picture=PICTURE, **fields):
        page.get_by_test_id("files").set_input_files(picture)
        page.get_by_test_id("prompt").fill(prompt)
        if fields:
            page.locator("#more").evaluate("node => node.open = true")
        for name, value in fields.items():
            page.get_by_test_id(name).fill(value)
        page.get_by_test_id("submit").click()

    def finished(self, page):
        expect(page.get_by_test_id("compare-slider")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_test_id("compare-slider")).to_have_value("18")  # the result has come in

    def shoot(self, page, name):
        if SHOTS:
            page.screenshot(path=pathlib.Path(SHOTS) / f"{name}.png", full_page=True)

    def test_everything_is_there_and_has_a_name_in_both_languages(self):
        page = self.ready()
        for test_id in TEST_IDS:
            self.assertEqual(page.get_by_test_id(test_id).count(), 1, test_id)
        names = {}
        for language in ("en", "zh"):
            page.get_by_test_id("language").select_option(language)
            self.assertEqual(page.evaluate("document.documentElement.lang"), language)
            names[language] = {item["id"]: item["name"] for item in page.evaluate(NAMES)}
            nameless = [item for item, name in names[language].items() if not name and item not in ("download", "before")]
            self.assertEqual(nameless, [], language)
        same = [item for item in names["en"] if names["en"][item] == names["zh"].get(item) and item not in ("language",)]
        self.assertEqual(same, [])
        page.reload()
        self.assertEqual(page.evaluate("document.documentElement.lang"), "zh", "the choice is kept")

    def test_an_edit_is_seen_while_it_is_made_and_compared(self):
        page = self.ready()
        self.shoot(page, "desktop-empty-light-en")
        page.get_by_test_id("files").set_input_files(PICTURE)
        page.get_by_test_id("prompt").fill("make the red circle blue")
        page.evaluate("""() => {
          window.seen = {steps: new Set, pictures: new Set};
          new MutationObserver(() => {
            const text = document.getElementById("progress-text").textContent, after = document.getElementById("after");
            if (/Step \\d/.test(text)) seen.steps.add(text);
            if (running && !after.hidden) seen.pictures.add(after.src);
          }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
        }""")
        with page.expect_response("**/v1/images/edits") as answer:
            page.get_by_test_id("submit").click()
        self.finished(page)
        self.shoot(page, "desktop-result-light-en")
        seen = page.evaluate("({steps: [...seen.steps], pictures: seen.pictures.size})")
        self.assertEqual(seen["steps"], [f"Step {i} of 4" for i in range(1, 5)])
        self.assertEqual(seen["pictures"], 2)
        expect(page.get_by_test_id("compare-slider")).to_be_focused()
        cut = lambda: page.locator("#frame").evaluate("node => node.style.getPropertyValue('--cut')")
        before = cut()
        page.keyboard.press("ArrowRight")
        self.assertNotEqual(cut(), before)
        box = page.locator("#frame").bounding_box()
        page.mouse.click(box["x"] + box["width"] * .75, box["y"] + box["height"] / 2)
        self.assertEqual(cut(), "75%")
        provenance = page.get_by_test_id("provenance").inner_text()
        self.assertIn(answer.value.headers["x-model-digest"][:16], provenance)
        self.assertIn(answer.value.headers["x-request-id"], provenance)
        expect(page.get_by_test_id("queue")).to_contain_text("0 / 32")
        # The blue circle is blue on what is downloaded, too.
        with page.expect_download() as download:
            page.locator("#download").click()
        self.assertRegex(download.value.suggested_filename, r"^holdall-\d+\.png$")
        self.assertEqual(download.value.path().read_bytes()[:4], b"\x89PNG")

    def test_a_newcomer_sees_an_edit_by_one_click(self):
        page = self.ready()
        golden = json.loads((MODEL / "holdall.json").read_text())["golden"]
        expect(page.get_by_test_id("samples").locator("img")).to_have_count(len(golden))
        for edit in golden:
            page.get_by_test_id("samples").get_by_role("button", name=edit["prompt"]).click()
            self.finished(page)
            expect(page.get_by_test_id("prompt")).to_have_value(edit["prompt"])
            sent = page.evaluate("pictures[0].file.arrayBuffer().then(bytes => [...new Uint8Array(bytes)])")
            self.assertEqual(bytes(sent), (MODEL / edit["image"]).read_bytes())
            expect(page.get_by_test_id("samples")).to_be_hidden()
            page.get_by_role("button", name="Remove picture 1").click()
        expect(page.get_by_test_id("history").locator("li")).to_have_count(len(golden))
        page.get_by_test_id("language").select_option("zh")
        expect(page.get_by_test_id("samples").locator("h2")).to_have_text("也可以试试模型自带的示例")

    def test_a_model_without_samples_shows_none(self):
        with Service(BIN, MODEL, "--golden", "[]") as service:
            page = self.ready(service=service)
            expect(page.locator("#model")).to_have_text("holdall-starter")
            expect(page.get_by_test_id("samples")).to_be_hidden()

    def test_the_keyboard_is_enough(self):
        page = self.ready()
        # Said to the page before it is asked for more: keys come to it by another way, and might overtake this.
        with page.expect_file_chooser() as chooser:
            page.get_by_test_id("theme").focus()
            page.keyboard.press("Tab")
            expect(page.get_by_test_id("files")).to_be_focused()
            page.keyboard.press("Space")
        chooser.value.set_files(PICTURE)
        expect(page.locator("#thumbs img")).to_have_count(1)
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "prompt":
                break
        page.keyboard.type("make the red circle blue")
        mask = page.get_by_test_id("mask-toggle")
        for _ in range(12):
            if mask.evaluate("node => node === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("mask-canvas")).to_be_focused()
        page.keyboard.press("Space")
        page.keyboard.press("+")
        for _ in range(6):
            page.keyboard.press("Shift+ArrowLeft")
        page.evaluate("""() => {
          const real = window.fetch;
          window.fetch = (path, options) => { if (options?.body) window.sent = [...options.body.keys()]; return real(path, options); };
        }""")
        page.keyboard.press("Control+Enter")
        self.finished(page)
        self.assertIn("mask", page.evaluate("sent"))
        expect(page.get_by_test_id("error")).to_be_hidden()

    def test_a_mask_is_painted_with_the_mouse(self):
        page = self.ready()
        page.get_by_test_id("files").set_input_files(PICTURE)
        page.get_by_test_id("prompt").fill("make the red circle blue")
        page.get_by_test_id("mask-toggle").click()
        page.get_by_test_id("submit").click()
        expect(page.get_by_test_id("error")).to_contain_text("The mask is empty")
        box = page.get_by_test_id("mask-canvas").bounding_box()
        at = lambda x, y: page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=6)
        at(.15, .2), page.mouse.down(), at(.4, .3), at(.15, .35), page.mouse.up()
        self.shoot(page, "desktop-mask-light-en")
        page.get_by_test_id("submit").click()
        self.finished(page)

    def test_a_picture_that_is_still_being_read_is_waited_for(self):
        page = self.ready()
        sent = []
        page.on("request", lambda request: request.url.endswith("/edits") and sent.append(request))
        page.evaluate("""() => {
          const real = Image.prototype.decode;
          Image.prototype.decode = async function() { await new Promise(done => setTimeout(done, 500)); return real.call(this); };
        }""")
        self.edit(page)
        page.keyboard.press("Control+Enter")
        self.finished(page)
        self.assertEqual(len(sent), 1)

    def test_esc_frees_the_service(self):
        page = self.ready()
        self.edit(page, steps="500")
        expect(page.locator("#progress-text")).to_contain_text("Step", timeout=PATIENCE)
        self.shoot(page, "desktop-working-light-en")
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("error")).to_have_text("Cancelled.")
        expect(page.get_by_test_id("submit")).to_be_enabled()
        expect(page.get_by_test_id("queue")).to_contain_text("0\nrunning", use_inner_text=True, timeout=PATIENCE)

    def test_a_refusal_is_shown_at_its_field(self):
        refused = lambda faults: [fault for fault in faults if "400" not in fault]  # the browser's own line about the status
        page = self.ready(complaints=refused)
        self.edit(page, seed="minus one")
        expect(page.get_by_test_id("error")).to_contain_text("'seed' must be a whole number")
        expect(page.get_by_test_id("seed")).to_be_focused()
        expect(page.get_by_test_id("seed")).to_have_attribute("aria-invalid", "true")

    def test_history_outlives_the_page(self):
        page = self.ready()
        self.edit(page)
        self.finished(page)
        page.reload()
        expect(page.get_by_test_id("history").locator("li")).to_have_count(1)
        page.get_by_test_id("history").locator("button").click()
        self.finished(page)
        page.locator("#again").click()
        expect(page.locator("#thumbs img")).to_have_count(1)
        page.locator("#forget").click()
        expect(page.get_by_test_id("history")).to_be_hidden()

    def test_texts_stand_out_in_light_and_dark(self):
        page = self.ready()
        self.edit(page)
        self.finished(page)
        page.locator("#more").evaluate("node => node.open = true")
        colours = set()
        for theme in ("light", "dark"):
            page.get_by_test_id("theme").select_option(theme)
            page.get_by_test_id("language").select_option("zh" if theme == "dark" else "en")
            found = page.evaluate(CONTRASTS)
            self.assertGreater(len(found), 40)
            self.assertEqual([item for item in found if item[0] < 4.5], [], theme)
            colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(colours), 2)
        self.shoot(page, "desktop-result-dark-zh")

    def test_a_phone_needs_no_sideways_scrolling(self):
        for width, scheme, locale in ((390, "light", "zh-CN"), (320, "dark", "en-US")):
            page = self.ready(viewport={"width": width, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True,
                              color_scheme=scheme, locale=locale)
            self.shoot(page, f"phone-empty-{scheme}-{locale[:2]}")
            self.edit(page, prompt="replace the blue square with a pink heart", picture=MODEL / "golden/replace.png")
            self.finished(page)
            page.locator("#more").evaluate("node => node.open = true")
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
            small = page.evaluate("""() => [...document.querySelectorAll("button, select, input:not(.sr), summary")]
                .filter(node => node.checkVisibility()).map(node => [node.id || node.className || node.tagName, node.getBoundingClientRect().height])
                .filter(([, height]) => height < 24 && height > 0)""")
            self.assertEqual([item for item in small if item[0] != "SUMMARY"], [], "WCAG 2.2, 2.5.8")
            page.locator("#more").evaluate("node => node.open = false")
            self.shoot(page, f"phone-result-{scheme}-{locale[:2]}")

    def test_a_service_with_keys_is_asked_nothing_before_there_is_one(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys.json"
            key = subprocess.run([BIN / "holdall-edit", "keys", "add", "--keys", keys, "--name", "e", "--role", "editor"],
                                 check=True, capture_output=True, text=True).stdout.strip()
            with Service(BIN, MODEL, "--keys", keys) as service:
                page = self.open(service=service)
                expect(page.locator("#state")).to_have_text("Enter an API key")
                self.edit(page)
                expect(page.get_by_test_id("error")).to_have_text("This service needs an API key.")
                page.get_by_test_id("api-key").fill(key)
                page.get_by_test_id("submit").click()
                self.finished(page)
                expect(page.locator("#state")).to_have_text("Ready")
                page.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
