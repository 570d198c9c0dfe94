import Fleet
import Ptrauth
import Regression
import Replay

/// `merge --format html`: one file. The first bad kernel is named at the top, with a link to its row.
public enum FleetHTML {
  public static func render(_ report: FleetReport) -> [UInt8] {
    var page = Markup()
    HTMLReport.head(
      "\(report.word.lowercased()): \(counted(report.total.recordings, "recording")) - ptrauth-trace merge",
      &page)
    page.raw("<body>\n<main>\n")
    HTMLReport.banner("ptrauth-trace merge", report.headline, report.sentence, report.tone, &page)
    first(report, &page)
    broken(report, &page)
    groups(report, &page)
    FleetTables.matrix(report, &page)
    FleetTables.costs(report, &page)
    FleetTables.unjudged(report, &page)
    FleetTables.rates(report, &page)
    page.raw("</main>\n</body>\n</html>\n")
    return page.bytes
  }

  private static func first(_ report: FleetReport, _ page: inout Markup) {
    guard let bad = report.firstBad else { return }
    page.element("p", [("id", "first-bad")]) { page in
      page.text("The first bad one: ")
      page.element("a", [("href", "#g\(bad)")]) { page in
        page.element("strong", report.rows[bad].group.words)
      }
      page.text(report.beforeFirstBad + ". In the order of releases and labels.")
    }
    page.raw("\n")
  }

  private static func broken(_ report: FleetReport, _ page: inout Markup) {
    guard !report.broken.isEmpty else { return }
    page.element("section") { page in
      page.element("h2", "Broken rules")
      for item in report.broken {
        page.element("article", [("class", "finding \(item.rule.severity.name)")]) { page in
          page.element("h3") { page in
            page.element("code", item.rule.id)
            page.raw(" ")
            page.element(
              "span", [("class", "badge \(item.rule.severity.name)")], item.rule.severity.name)
            page.raw(" ")
            page.element(
              "span", [("class", "times")],
              "in \(report.of(item.tally.recordings(.broken), item.tally.judged)) that judge it, "
                + FleetReport.levels(item.tally))
          }
          page.element("p", item.rule.title + ".")
          page.element("p", [("class", "consequence")], item.rule.consequence)
          page.element("dl") { page in
            fact("first in", &page) {
              $0.element("a", [("href", "#g\(item.first)")], report.rows[item.first].group.words)
            }
            if let good = item.lastGood {
              fact("last kept in", &page) {
                $0.element("a", [("href", "#g\(good)")], report.rows[good].group.words)
              }
            }
            if !item.tally.places.isEmpty {
              fact("place", &page) { $0.text(FleetReport.list(item.tally.places)) }
            }
            fact("recordings", &page) { $0.text(FleetReport.list(item.tally.examples)) }
            fact("look at", &page) { $0.text(item.rule.lookAt) }
          }
        }
      }
    }
    page.raw("\n")
  }

  private static func fact(
    _ name: String, _ page: inout Markup, _ value: (inout Markup) -> Void
  ) {
    page.element("div") { page in
      page.element("dt", name)
      page.element("dd", [], value)
    }
  }

  private static func groups(_ report: FleetReport, _ page: inout Markup) {
    page.element("section") { page in
      page.element("h2", "Recordings " + report.groupingWords)
      page.element("table", [("class", "groups")]) { page in
        HTMLSections.header(
          [
            "", report.fleet.grouping.facets == [.kernel] ? "kernel" : "group", "verdict",
            "recordings",
          ]
            + Analysis.Verdict.allCases.map(\.word) + ["broken rules", "scheme"], &page)
        page.element("tbody") { page in
          for (number, row) in report.rows.enumerated() {
            page.element("tr", [("id", "g\(number)")]) { page in
              page.element("td", sign(report.tone(row.tally)))
              page.element("td") { page in
                if number == report.firstBad {
                  page.element("strong", row.group.words)
                  page.raw(" ")
                  page.element("span", [("class", "badge critical")], "first bad")
                } else {
                  page.text(row.group.words)
                }
              }
              page.element("td", report.words(row.tally))
              HTMLSections.numbers(
                [row.tally.recordings] + Analysis.Verdict.allCases.map(row.tally.count), &page)
              page.element(
                "td",
                report.breaks(row.tally).map {
                  "\($0.id) in \(row.tally.rules[$0]?.recordings(.broken) ?? 0)"
                }.joined(separator: ", "))
              page.element("td", FleetReport.list(row.tally.schemes))
            }
          }
        }
      }
    }
    page.raw("\n")
  }

  private static func sign(_ tone: VerdictSentence.Tone) -> String {
    switch tone {
    case .good: "\u{2713}"
    case .doubtful: "?"
    case .bad: "\u{2717}"
    }
  }
}
