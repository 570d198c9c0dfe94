#!/usr/bin/env python3
"""Reads a merged report as a person does who looks for the first bad kernel: fleet.py REPORT.html. Prints JSON."""

import json
import sys

from chromium import Page

FIRST = """(() => {
  const line = document.querySelector('#first-bad');
  const box = line.getBoundingClientRect();
  return {words: line.textContent, onFirstScreen: box.top >= 0 && box.bottom <= innerHeight};
})()"""
ROW = """(() => {
  const row = document.querySelector(document.querySelector('#first-bad a').getAttribute('href'));
  const box = row.getBoundingClientRect();
  return {words: row.textContent, shown: box.top >= -1 && box.bottom <= innerHeight,
          bad: document.querySelectorAll('.groups .badge').length};
})()"""
ORDER = "[...document.querySelectorAll('.groups tbody tr td:nth-child(2)')].map((cell) => cell.textContent)"
CONTRAST = """(() => {
  const light = (text) => {
    const parts = text.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (part) => {
    for (; part; part = part.parentElement) {
      const colour = getComputedStyle(part).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return Math.min(...[...document.querySelectorAll('a, td, th, p, h1, h2, .badge, .times')].map((part) => {
    const [a, b] = [light(getComputedStyle(part).color), light(ground(part))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()"""

with Page() as page:
    page.open(sys.argv[1])
    page.settle()
    seen = {"first": page.evaluate(FIRST), "order": page.evaluate(ORDER)}
    page.evaluate("document.querySelector('#first-bad a').click()")
    page.settle()
    seen["row"] = page.evaluate(ROW)
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        page.settle()
        seen[scheme] = page.evaluate(CONTRAST)
    page.size(390, 844)
    page.settle()
    seen["phone"] = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen["errors"] = page.errors
    seen["requests"] = [url for kind, url in page.events if kind == "request" and not url.startswith("file:")]
    print(json.dumps(seen))
