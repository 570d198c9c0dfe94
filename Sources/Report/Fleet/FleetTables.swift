import Fleet
import Ptrauth
import Regression
import Replay

/// The tables of a merged page that stand below its answer.
enum FleetTables {
  /// Broken rules by group.
  static func matrix(_ report: FleetReport, _ page: inout Markup) {
    guard !report.broken.isEmpty, report.rows.count > 1 else { return }
    let rules = report.broken.map(\.rule)
    section("Which rule where", ["group"] + rules.map(\.id), &page) { page in
      for row in report.rows {
        page.element("tr") { page in
          page.element("td", row.group.words)
          for rule in rules {
            page.element("td", [("class", "n")], cell(row.tally, rule))
          }
        }
      }
    }
    note(
      "Recordings that have it, of those that judge it; ? no recording judges it, \u{2013} it cannot happen there.",
      &page)
  }

  private static func cell(_ tally: Tally, _ rule: Rule) -> String {
    let found = tally.rules[rule] ?? RuleTally()
    if found.judged > 0 { return "\(found.recordings(.broken, .known)) of \(found.judged)" }
    let cannot = found.recordings(.impossible)
    return cannot > 0 && cannot == tally.recordings ? "\u{2013}" : "?"
  }

  static func costs(_ report: FleetReport, _ page: inout Markup) {
    guard !report.costs.isEmpty else { return }
    section(
      "Costs",
      ["rule", "what", "recordings", "judged", "times", "reads", "writes", "trips", "first in"],
      &page
    ) { page in
      for item in report.costs {
        page.element("tr") { page in
          page.element("td") { $0.element("code", item.rule.id) }
          page.element("td", item.rule.title)
          let tally = item.tally
          HTMLSections.numbers(
            [
              tally.recordings(.broken), tally.judged, tally.count, tally.reads, tally.writes,
              tally.trips,
            ], &page)
          page.element("td", report.rows[item.first].group.words)
        }
      }
    }
  }

  static func unjudged(_ report: FleetReport, _ page: inout Markup) {
    let total = report.total
    if !total.troubles.isEmpty || !report.fleet.damaged.isEmpty {
      section("No pass", ["recordings", "why"], &page) { page in
        func row(_ count: UInt64, _ why: String) {
          page.element("tr") { page in
            HTMLSections.numbers([count], &page)
            page.element("td", why)
          }
        }
        for (reason, count) in total.troubles.sorted { row(count, reason) }
        if total.troubles.others > 0 { row(total.troubles.others, "other reasons") }
        if !report.fleet.damaged.isEmpty {
          row(
            report.fleet.damaged.total,
            "lines that are no summary: " + FleetReport.list(report.fleet.damaged))
        }
      }
      if !total.openNames.isEmpty {
        note("Recordings: \(FleetReport.list(total.openNames)).", &page)
      }
    }
    guard !report.unjudged.isEmpty else { return }
    section("Not judged", ["rule", "severity", "recordings", "why"], &page) { page in
      for item in report.unjudged {
        page.element("tr") { page in
          page.element("td") { $0.element("code", item.rule.id) }
          page.element("td", item.rule.severity.name)
          HTMLSections.numbers([item.count], &page)
          page.element("td", FleetReport.list(item.tally.reasons, counts: true))
        }
      }
    }
  }

  /// Quantiles of each rate: of all, and of each group.
  static func rates(_ report: FleetReport, _ page: inout Markup) {
    guard !report.metrics.isEmpty else { return }
    let names = FleetReport.quantiles.map(\.name)
    section("Rates", ["rate", "of each", "how many"] + names, &page) { page in
      for metric in report.metrics {
        let rates = report.total.rates[metric] ?? Rates()
        for (name, sketch) in [
          ("recording", rates.recordings), ("VM", rates.vms), ("vCPU", rates.vcpus),
        ] where !sketch.isEmpty {
          row([metric.name, name], sketch, metric, report.total, &page)
        }
      }
    }
    note(
      "A quantile is at most 0.8 % too low. >= is a lower bound: the entry loop re-enters without an event.",
      &page)
    guard report.rows.count > 1 else { return }
    page.element("details") { page in
      page.element("summary", "Rates of recordings by group")
      section("Rates by group", ["rate", "group", "how many"] + names, &page) { page in
        for metric in report.metrics {
          for (group, tally) in report.rows {
            guard let sketch = tally.rates[metric]?.recordings, !sketch.isEmpty else { continue }
            row([metric.name, group.words], sketch, metric, tally, &page)
          }
        }
      }
    }
    page.raw("\n")
  }

  private static func row(
    _ words: [String], _ sketch: RateSketch, _ metric: Metric, _ tally: Tally, _ page: inout Markup
  ) {
    page.element("tr") { page in
      for word in words { page.element("td", word) }
      HTMLSections.numbers([sketch.count], &page)
      for (_, share) in FleetReport.quantiles {
        page.element("td", [("class", "n")], FleetReport.shown(sketch, share, metric, tally))
      }
    }
  }

  private static func section(
    _ title: String, _ heads: [String], _ page: inout Markup, _ rows: (inout Markup) -> Void
  ) {
    page.element("section") { page in
      page.element("h2", title)
      page.element("table") { page in
        HTMLSections.header(heads, &page)
        page.element("tbody", [], rows)
      }
    }
    page.raw("\n")
  }

  private static func note(_ words: String, _ page: inout Markup) {
    page.element("p", [("class", "note")], words)
    page.raw("\n")
  }
}
