#!/usr/bin/env python3
"""Screenshots of a report for eyes: screens.py REPORT.html DIRECTORY."""

import sys

from chromium import Page

report, directory = sys.argv[1:3]
with Page(1440, 1000) as page:
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        page.open(report)
        page.settle()
        page.picture(f"{directory}/{scheme}.png", whole=True)
        if page.evaluate("document.querySelector('.jump') !== null"):
            page.evaluate("document.querySelector('.jump').click()")
            page.evaluate("new Promise((r) => setTimeout(r, 900))")
            page.picture(f"{directory}/{scheme}-jump.png")
    page.scheme("light")
    page.size(420, 900)
    page.open(report)
    page.settle()
    page.picture(f"{directory}/narrow.png", whole=True)
    page.size(1440, 1000)
    page.settle()
    page.pdf(f"{directory}/print.pdf")
    for error in page.errors:
        print(error)
