import Replay

/// The passes that samples of executed instructions show.
enum HTMLPasses {
  static func write(_ document: Document, _ page: inout Markup) {
    guard let passes = document.analysis.passes else { return }
    let report = PassReport(path: document.recording.path, passes)
    page.element("section") { page in
      page.element("h2", "Passes, by executed instructions")
      page.element("table") { page in
        HTMLSections.header(
          ["pCPU", "calls", "returned", "entries", "exits", "switched in", "switched out"], &page)
        page.element("tbody") { page in
          for (cpu, passes) in report.cpus { row(cpu < 0 ? "?" : String(cpu), passes, &page) }
          if report.cpus.count > 1 { row("all", report.total, &page) }
        }
      }
      page.element(
        "p", [("class", "note")], "From the samples of \(passes.event). \(report.sentence)")
    }
    page.raw("\n")
  }

  private static func row(_ name: String, _ passes: PassCounts, _ page: inout Markup) {
    page.element("tr") { page in
      page.element("td", [("class", "n")], name)
      HTMLSections.numbers(
        [
          passes.calls, passes.bailOuts, passes.entries, passes.exits, passes.switchedEntries,
          passes.switchedExits,
        ], &page)
    }
  }
}
