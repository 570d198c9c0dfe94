#!/usr/bin/env python3
"""Looks at a report on a phone: phone.py REPORT.html. Prints what a reader would have to scroll sideways for."""

import sys

from chromium import Page

OFF_SCREEN = """(() => {
  const parts = ['.banner h1', 'dd', '.finding h3', '.finding p', '.evidence td', '.evidence caption'];
  return [...document.querySelectorAll(parts.join(','))].filter((part) => {
    const box = part.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1;
  }).map((part) => part.textContent.slice(0, 60));
})()"""

with Page(390, 844) as page:
    page.open(sys.argv[1])
    page.settle()
    for words in page.evaluate(OFF_SCREEN):
        print("off the screen:", words)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        print("the page itself scrolls sideways")
    print("evidence:", page.evaluate("document.querySelectorAll('.evidence td').length"))
    for error in page.errors:
        print(error)
