"""The page of `nnc inspect --html` in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

from nnc.tools.nnc import main

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found.new_page().close()  # its first page takes longer, whatever is in it
        yield found
        found.close()


@pytest.fixture(scope="module")
def file(model_path: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "out.html"
    model = str(model_path("orientation"))
    assert main(["inspect", model, "--shape", "x=1x3x224x224", "--html", str(path)]) == 0
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """The page, opened; whatever it complains of or asks the network for fails the test."""
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    def on_error(error: Error) -> None:
        problems.append(str(error))

    def on_request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            problems.append(request.url)

    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.on("console", on_console)
    opened.on("pageerror", on_error)
    opened.on("request", on_request)
    opened.set_default_timeout(5000)
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert problems == []


def level(page: Page, name: str) -> str:
    return page.locator(".level", has=page.locator("h3", has_text=name)).first.inner_text()


def find(page: Page, text: str) -> None:
    page.fill("#search", text)
    page.press("#search", "Enter")
    page.wait_for_selector(".levels .lines > div")


def test_it_opens_in_less_than_two_seconds(browser: Browser, file: Path):
    best = float("inf")
    for _ in range(3):
        page = browser.new_page()
        start = perf_counter()
        page.goto(file.as_uri())
        page.wait_for_selector(".node .name")
        page.evaluate("new Promise(requestAnimationFrame)")  # it has been painted
        best = min(best, perf_counter() - start)
        page.close()
    assert best < 2.0


def test_search_finds_a_node_by_its_onnx_name(page: Page):
    page.keyboard.press("/")
    page.keyboard.type("Conv.30")
    assert "Conv.30" in page.locator("#hits li.on").inner_text()
    assert page.locator(".node.hit").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_selector(".levels .lines > div")
    chips = page.locator(".chip").all_inner_texts()
    assert any(chip.startswith("Conv.30") for chip in chips)
    assert "te.compute @conv" in level(page, "te")
    box = page.locator(".node.selected").bounding_box()
    canvas = page.locator("#canvas").bounding_box()
    assert box is not None
    assert canvas is not None
    assert canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"]


@pytest.mark.parametrize("text", ["BatchNormalization", "hard_swish", "conv_relu_1"])
def test_search_knows_operators_and_kernels(page: Page, text: str):
    page.fill("#search", text)
    assert page.locator(".node.hit").count() >= 1
    page.fill("#search", "no such thing")
    assert page.locator(".node.hit").count() == 0
    page.press("#search", "Escape")
    assert page.locator(".graph.searching").count() == 0


def test_a_click_shows_the_loop_nest(page: Page):
    page.locator(".node.contraction").first.click()
    page.wait_for_selector(".levels .lines > div")
    assert "loop.for" in level(page, "loop nest")
    assert "vectorize" in level(page, "scheduled nest")
    assert "loop.contract" in level(page, "tiles")
    assert "fmadd" in level(page, "assembly") or "fmla" in level(page, "assembly")
    page.locator(".level h3", has_text="tiles").click()  # alone
    assert page.locator(".level:visible").count() == 1
    page.locator(".level:visible h3").click()
    page.locator(".toggles button", has_text="assembly").click()
    assert page.locator(".level:visible").count() == 5


def test_lines_are_linked_from_assembly_to_the_models_nodes(page: Page):
    find(page, "Conv.2")
    fma = page.locator('.level[data-level="6"] .lines > div', has_text="fmadd").first
    fma.click(position={"x": 60, "y": 5})
    assert fma.get_attribute("class") == "at"
    linked = page.locator('.level[data-level="1"] .from').all_inner_texts()
    assert len(linked) == 1
    assert "@conv" in linked[0]
    assert page.locator('.level[data-level="5"] .from', has_text="loop.contract").count() == 1
    assert page.locator(".chip.from", has_text="Conv.2").count() == 1
    assert page.locator(".chip.from", has_text="HardSwish.2").count() == 0
    fma.click(position={"x": 60, "y": 5})
    page.mouse.move(5, 5)
    assert page.locator(".lines .from").count() == 0


def test_calls_of_one_kernel_show_their_own_nodes(page: Page):
    find(page, "Conv.20")
    conv = page.locator('.level[data-level="1"] .lines > div', has_text="te.compute @conv")
    conv.hover(position={"x": 60, "y": 5})
    assert page.locator(".chip.from", has_text="Conv.20").count() == 1


def test_passes_show_what_they_changed(page: Page):
    page.locator("nav button", has_text="Passes").click()
    assert "without effect here: " in page.locator("#passes").inner_text()
    simplified = page.locator("#passes details", has_text="simplify-inference")
    simplified.locator("summary").click()
    page.wait_for_selector("#passes .minus")
    gone = simplified.locator(".minus", has_text="graph.batch_normalization")
    assert gone.count() == 27


def test_the_picture_is_moved_and_zoomed(page: Page):
    def transform() -> str | None:
        return page.locator("#canvas .all").get_attribute("transform")

    before = transform()
    page.mouse.move(200, 400)
    page.mouse.down()
    page.mouse.move(230, 300, steps=4)
    page.mouse.up()
    moved = transform()
    assert moved != before
    assert page.locator(".node.selected").count() == 0  # a drag is no click
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    page.wait_for_function(
        "t => document.querySelector('#canvas .all').getAttribute('transform') !== t", arg=moved
    )
    page.locator("#zoom button", has_text="fit").click()
    box = page.locator(".node.output").bounding_box()
    assert box is not None
    assert box["y"] < 900


def test_the_summary_opens_kernels(page: Page):
    row = page.locator("#summary tr[data-node]", has_text="softmax").first
    row.click()
    page.wait_for_selector(".levels .lines > div")
    assert page.locator("#kernel h2").inner_text() == "softmax"
    assert "#node-" in page.url


def test_it_has_a_dark_side(page: Page):
    def ground() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.emulate_media(color_scheme="dark")
    assert ground() != light


def opened(page: Page) -> str:
    return page.locator("#kernel h2").inner_text()


def test_the_address_says_what_is_open(page: Page, browser: Browser):
    page.locator(".node.contraction").nth(1).click()
    second = page.url
    page.locator(".node.contraction").nth(2).click()
    page.locator("nav button", has_text="Passes").click()
    assert page.url.endswith("#passes")
    page.go_back()
    page.wait_for_selector("#kernel:visible")
    assert opened(page) == "conv_hard_swish_2"
    page.go_back()
    page.wait_for_function("url => location.href === url", arg=second)
    page.wait_for_selector(".node.selected[data-node='2']")
    page.go_forward()
    page.wait_for_selector(".node.selected[data-node='3']")
    page.evaluate("location.hash = '#Conv.30'")
    page.wait_for_selector(".chip[data-name='Conv.30']")
    for unknown in ("#node-4000", "#%E0%A4%A", "#nothing", ""):
        page.evaluate("hash => { location.hash = hash }", unknown)
        page.wait_for_selector("#summary:visible")


def test_it_is_used_by_keys(page: Page):
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_selector(".node.selected[data-node='1']")
    page.keyboard.press("k")
    page.wait_for_selector(".node.selected[data-node='0']")
    page.locator("nav button", has_text="Summary").press("Enter")
    page.locator("tr[data-node]", has_text="softmax").press("Enter")
    page.wait_for_selector(".levels .lines > div")
    assert opened(page) == "softmax"
    page.locator(".level h3", has_text="tiles").press("Enter")
    assert page.locator(".level:visible").count() == 1
    picture = page.locator("#canvas .all")
    before = picture.get_attribute("transform")
    page.locator("#canvas").press("ArrowUp")
    moved = picture.get_attribute("transform")
    page.locator("#canvas").press("+")
    assert len({before, moved, picture.get_attribute("transform")}) == 3


def test_what_is_looked_for_can_be_read(page: Page):
    page.locator("#zoom button", has_text="fit").click()
    canvas, last = page.locator("#canvas").bounding_box(), page.locator(".node.output")
    box = last.bounding_box()
    assert canvas is not None
    assert box is not None
    assert box["y"] + box["height"] <= canvas["y"] + canvas["height"]
    assert page.locator(".graph.far").count() == 1
    find(page, "Conv.20")
    assert page.locator(".graph.far").count() == 0


@pytest.mark.parametrize(("width", "columns"), [(1440, 3), (700, 2), (390, 1)])
def test_panes_stay_wide_enough(page: Page, width: int, columns: int):
    page.set_viewport_size({"width": width, "height": 900})
    find(page, "Conv.2")
    boxes = [pane.bounding_box() for pane in page.locator(".level").all()]
    found = [box for box in boxes if box is not None]
    assert len({box["x"] for box in found}) == columns
    assert min(box["width"] for box in found) >= 280
    assert min(box["height"] for box in found) >= 240
    assert page.evaluate("document.documentElement.scrollWidth") <= width
