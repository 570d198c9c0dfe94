#!/usr/bin/env python3
"""Uses a report as a reader does: timeline.py REPORT.html. Prints what was seen, as JSON."""

import json
import sys

from chromium import Page

STATE = "Object.assign({}, document.querySelector('.picture').dataset)"
# Colours of the canvas, most frequent first, transparent ones apart.
COLOURS = """(() => {
  const drawn = document.querySelector('.stage canvas');
  const canvas = document.createElement('canvas');
  canvas.width = drawn.width;
  canvas.height = drawn.height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(drawn, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const key = data[i] + ',' + data[i + 1] + ',' + data[i + 2];
    seen.set(key, (seen.get(key) || 0) + 1);
  }
  return Object.fromEntries([...seen].sort((a, b) => b[1] - a[1]).slice(0, 12));
})()"""
# WCAG 2.1 contrast of text colours against what they lie on.
CONTRAST = """(() => {
  const probe = document.createElement('i');
  document.body.append(probe);
  const light = (name) => {
    probe.style.color = 'var(--' + name + ')';
    const [r, g, b] = getComputedStyle(probe).color.match(/[0-9.]+/g).map((c) => {
      c /= 255;
      return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let least = 99;
  const pairs = [['fg', 'bg'], ['fg', 'panel'], ['muted', 'bg'], ['muted', 'panel'], ['muted', 'faint'], ['link', 'bg'],
    ['good', 'panel'], ['doubtful', 'panel'], ['bad', 'panel'], ['finding', 'bg'], ['on-set', 'set'],
    ['fg', 'load'], ['bg', 'finding']];
  for (const [a, b] of pairs) {
    const x = light(a), y = light(b);
    least = Math.min(least, (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05));
  }
  probe.remove();
  return least;
})()"""


def view(page):
    state = page.evaluate(STATE)
    return float(state["begin"]), float(state["end"])


with Page() as page:
    seen = {}
    ready = []
    for _ in range(3):
        page.open(sys.argv[1])
        page.settle()
        ready.append(int(page.evaluate("document.documentElement.dataset.ready")))
        if ready[-1] < 1500:
            break
    seen["readyMs"] = min(ready)
    seen["requests"] = [r for r in page.requests if not r.startswith("file://") or not r.endswith(sys.argv[1].split("/")[-1])]
    seen["lanes"] = page.evaluate("timelines[0].model.lanes.length")
    seen["runs"] = page.evaluate(
        "timelines[0].model.vcpus.reduce((n, l) => n + l.levels.at(-1).counts[RUNS][0], 0)")
    seen["marks"] = page.evaluate("timelines[0].model.data.marks.t.length")
    seen["colours"] = len(page.evaluate(COLOURS))
    seen["setColour"] = page.evaluate(COLOURS).get("11,92,173", 0)

    box = page.evaluate("(() => { const b = document.querySelector('.stage canvas').getBoundingClientRect();"
                        " return [b.left, b.top, b.width, b.height]; })()")
    page.evaluate("document.querySelector('.picture').scrollIntoView()")
    page.settle()
    box = page.evaluate("(() => { const b = document.querySelector('.stage canvas').getBoundingClientRect();"
                        " return [b.left, b.top, b.width, b.height]; })()")
    x, y = box[0] + box[2] * 0.5, box[1] + min(box[3], 700) * 0.25
    begin, end = view(page)

    # The wheel zooms around the pointer.
    at = page.evaluate(f"timelines[0].painter.time({x - box[0]})")
    for _ in range(6):
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-240, modifiers=2)
    page.settle()
    a, b = view(page)
    seen["wheelZoom"] = (end - begin) / (b - a)
    seen["wheelKeepsPlace"] = abs(page.evaluate(f"timelines[0].painter.time({x - box[0]})") - at) / (b - a)

    # Dragging moves by as much as the pointer did.
    page.mouse("mouseMoved", x, y)
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    for step in range(1, 6):
        page.mouse("mouseMoved", x - 20 * step, y, button="left", buttons=1)
    page.mouse("mouseReleased", x - 100, y, button="left", clickCount=1)
    page.settle()
    c, d = view(page)
    seen["dragMoved"] = (c - a) / (b - a) * (box[2] - 158) / 100

    # Keys.
    page.evaluate("document.querySelector('.stage').focus()")
    page.press("+")
    e, f = view(page)
    seen["keyZoom"] = (d - c) / (f - e)
    page.press("ArrowRight")
    seen["keyMoved"] = (view(page)[0] - e) / (f - e)
    page.press("0")
    seen["keyAll"] = all(abs(p - q) < 1 for p, q in zip(view(page), (begin, end)))
    page.press("ArrowDown")
    page.press(".")
    page.press(".")
    seen["keyMark"] = page.evaluate("document.querySelector('.details').textContent")

    # A finding leads to its moment.
    if page.evaluate("document.querySelector('.jump') !== null"):
        page.evaluate("document.querySelector('.jump').focus()")
        spot = page.evaluate("(() => { const j = document.querySelector('.jump'); j.scrollIntoView({block: 'center'});"
                             " const b = j.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()")
        page.click(*spot)
        page.evaluate("new Promise((r) => setTimeout(r, 700))")
        g, h = view(page)
        evidence = page.evaluate("timelines[0].evidence.map((e) => e.time)")
        seen["jumped"] = page.evaluate(STATE).get("jumped")
        seen["jumpShows"] = all(g <= t <= h for t in evidence) and len(evidence) > 0
        seen["jumpZoom"] = (end - begin) / (h - g)

    # Every "show" frames its whole proof; "next" begins with the first finding, "previous" with the last.
    seen["framed"] = page.evaluate("""[...document.querySelectorAll('.jump')].every((j) => {
      j.click();
      const t = timelines[Number(j.dataset.timeline)], v = t.view;
      return t.evidence.length && t.evidence.every((e) => v.begin <= e.time && e.time <= v.end);
    })""")
    page.evaluate("(() => { const t = timelines[0]; t.flagAt = undefined; t.show(t.full.begin, t.full.end); })()")
    page.settle()
    page.evaluate("document.querySelector('.stage').focus()")
    walk = []
    for key in "nnp":
        page.press(key)
        walk.append(page.evaluate("timelines[0].findingFlags.length ? timelines[0].flagAt : null"))
    seen["walk"] = walk
    page.evaluate("(() => { const t = timelines[0]; t.flagAt = undefined; t.show(t.full.begin, t.full.end); })()")
    page.press("p")
    seen["lastFirst"] = page.evaluate("timelines[0].findingFlags.length - 1 - (timelines[0].flagAt ?? -1)")

    # No share is above 100%, however near the view; a view is linked by the page's address.
    page.evaluate("document.querySelector('.alternative').open = true")
    shares = []
    for divisor in [1, 7, 1000, 100000, 10000000]:
        page.evaluate(f"(() => {{ const t = timelines[0], s = t.full.end - t.full.begin;"
                      f" t.show(t.full.begin + s * 0.3, t.full.begin + s * 0.3 + s / {divisor}); }})()")
        page.settle()
        shares += page.evaluate("[...document.querySelectorAll('.alternative td')].map((c) => c.textContent)"
                                ".filter((w) => w.endsWith('%')).map((w) => parseFloat(w))")
    seen["mostShare"] = max(shares)
    page.evaluate("document.querySelector('.alternative').open = false")
    lane = page.evaluate("(() => { const t = timelines[0], n = t.model.vcpus.length - 1; t.selectLane(n); return n; })()")
    page.settle()
    page.evaluate("new Promise((r) => setTimeout(r, 400))")
    wanted, link = view(page), page.evaluate("location.hash")
    seen["link"] = link
    seen["linkIsOffered"] = page.evaluate("document.querySelector('a.view').hash") == link
    page.open(sys.argv[1] + "?other")
    page.open(sys.argv[1] + link)
    page.settle()
    got = view(page)
    seen["linked"] = (max(abs(p - q) for p, q in zip(got, wanted)) <= 1
                      and page.evaluate("timelines[0].selected.lane") == lane)
    page.evaluate("location.hash = '#t=nonsense,&vcpu=99999'")
    page.settle()
    page.evaluate(f"location.hash = '{link.replace('t=', 't=0,1&x=')}'")
    page.settle()

    # Pointing at a run tells of it, clicking keeps it.
    page.evaluate("timelines[0].section.scrollIntoView({behavior: 'instant'})")
    page.evaluate("(() => { const t = timelines[0]; const lane = t.model.vcpus.find((l) => l.runs.length) || t.model.vcpus[0];"
                  " t.selectLane(lane.number); const i = Math.floor(Math.min(lane.runs.length, 200) / 2);"
                  " const w = Math.max(2000, lane.runs.end[i] - lane.runs.begin[i]);"
                  " t.show(lane.runs.begin[i] - w * 3, lane.runs.end[i] + w * 3);"
                  " window.target = [lane.number, (lane.runs.begin[i] + lane.runs.end[i]) / 2]; })()")
    page.settle()
    spot = page.evaluate("(() => { const t = timelines[0], b = t.canvas.getBoundingClientRect();"
                         " return [b.left + t.painter.x(target[1]),"
                         " b.top + t.tops[target[0]] - t.stage.scrollTop + 22]; })()")
    page.mouse("mouseMoved", *spot)
    page.settle()
    seen["tip"] = page.evaluate("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
    page.click(*spot)
    seen["chosen"] = page.evaluate(STATE).get("chosen")

    # The same as tables.
    page.evaluate("document.querySelector('.alternative').open = true")
    page.settle()
    page.settle()
    seen["tableRows"] = page.evaluate("document.querySelectorAll('.alternative tbody tr').length")
    seen["unnamedButtons"] = page.evaluate(
        "[...document.querySelectorAll('button')].filter((b) => !b.textContent.trim() && !b.ariaLabel).length")
    seen["contrast"] = {}
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        page.settle()
        seen["contrast"][scheme] = page.evaluate(CONTRAST)
        seen["contrast"][scheme + "Ground"] = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    seen["errors"] = page.errors
    print(json.dumps(seen, indent=1))
