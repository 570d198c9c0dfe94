import Ptrauth
import Replay

/// `whatif` on a terminal: what was observed, a table of policies, their place by the weights.
public enum WhatIfText {
  public static func render(_ whatIf: WhatIf, style: Style) -> String {
    var page = Page(style)
    let facts = whatIf.document.recording
    let kernel = whatIf.document.kernel
    page.sentence(
      style.bold("WHAT IF") + ": the recorded schedule under "
        + "\(whatIf.comparison.rows.count) policies")
    page.line()
    page.paragraph("recording  ", "\(facts.path) (\(facts.format), clock \(facts.clock))")
    page.paragraph(
      "scheme     ",
      kernel.generation.map { "\($0.name) (\($0.id)), from \(kernel.generationBasis)" }
        ?? "not known: \(kernel.generationBasis)")
    observed(whatIf, &page)
    for warning in facts.warnings { page.paragraph("warning    ", warning) }
    table(whatIf, &page)
    page.line()
    for row in whatIf.comparison.rows {
      page.paragraph(
        "  \(row.policy.id.padded(13)) ",
        row.policy.title + (whatIf.remark(row).map { "; \($0)" } ?? ""))
    }
    closing(whatIf, &page)
    return page.text
  }

  private static func observed(_ whatIf: WhatIf, _ page: inout Page) {
    let used = whatIf.total(\.used)
    let maybe = whatIf.total(\.maybeUsed)
    let unsure = whatIf.vcpus.count { $0.feature == .unknown }
    page.paragraph(
      "observed   ",
      "\(counted(whatIf.total(\.loads), "load interval")) of "
        + "\(counted(UInt64(whatIf.vcpus.count), "vCPU")) with ptrauth; the guest used it in \(used)"
        + (maybe == 0 ? "" : ", and may have in \(maybe) more")
        + ". At least \(counted(whatIf.total(\.passes), "pass", "passes")): "
        + "\(whatIf.total(\.quietPasses)) before a first use or without one, "
        + "\(whatIf.total { $0.usedPasses + $0.cutPasses }) from one on"
        + (whatIf.total(\.unknownPasses) == 0
          ? "." : ", \(whatIf.total(\.unknownPasses)) that may be either."))
    if unsure > 0 {
      page.paragraph(
        "           ",
        "\(counted(UInt64(unsure), "vCPU")) may lack ptrauth, as far as the recording shows: without it "
          + "nothing is switched, so that costs begin at 0.")
    }
    if whatIf.total(\.leftOut) > 0 {
      page.paragraph(
        "left out   ",
        "\(counted(whatIf.total(\.leftOut), "load interval")) that lost events or the beginning of the "
          + "recording touch")
    }
  }

  private static func table(_ whatIf: WhatIf, _ page: inout Page) {
    page.line()
    let widths = [9, 9, 9, 9, 7, 7]
    // Without these two, the accesses that the weights count by default remain.
    let turns = ["hyp": 1, "isb": 2, "full": 3, "pairs": 4]
    var table = Table(
      columns: [.init("policy", 15, .left)]
        + zip(CostVector.components, widths).map {
          .init($0.name, $1, turn: turns[$0.name])
        } + [.init("rank", 8)])
    table.hasBoldTitles = true
    for row in whatIf.comparison.rows {
      let lows = CostVector.components.map { row.low[keyPath: $0.value] }
      let cells = zip(lows, row.high).map { low, high in
        high == nil ? ">=" + brief(low) : brief(low)
      }
      let rank =
        row.rank.map {
          $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        } ?? "-"
      table.rows.append([(row.isOwn ? "* " : "  ") + row.policy.id] + cells + [rank])
      // A second line for what is bounded on both sides.
      let tops = zip(lows, row.high).map { low, high in
        high.map { $0 == low ? "" : brief($0) } ?? ""
      }
      if tops.contains(where: { !$0.isEmpty }) {
        table.rows.append(["    at most"] + tops + [""])
      }
    }
    table.write(to: &page)
  }

  private static func closing(_ whatIf: WhatIf, _ page: inout Page) {
    page.line()
    page.paragraph(
      "  ",
      "mrs, msr: accesses to key registers; pairs: 16 bytes of keys loaded or stored; hyp, full: traps "
        + "handled at EL2, and by the host. `>=`: without limit above, since not every pass has an "
        + "event.")
    page.paragraph(
      "  ",
      "rank: the best and worst place by \(whatIf.weightWords) (--weights); two policies share places "
        + "unless one is cheaper whatever the recording does not show. `never` changes what the guest "
        + "sees, `oracle` is a bound: neither has a rank.")
    if let first = whatIf.comparison.rows.first(where: { $0.rank == 1...1 }) {
      page.paragraph("  ", "\(first.policy.id) is the cheapest by these weights.")
    }
    if whatIf.trapsWithoutFeature > 0 {
      page.paragraph(
        "  ",
        "vCPUs without ptrauth took \(counted(whatIf.trapsWithoutFeature, "trap")) more: a full trip "
          + "and an UNDEF each, under any policy.")
    }
  }

  /// Up to five digits exact, then with four: 123.4k, 56.78M.
  private static func brief(_ number: UInt64) -> String {
    guard number >= 100_000 else { return String(number) }
    var unit: UInt64 = 1000
    var suffix = "k"
    for next in ["M", "G", "T"] where number / unit >= 1000 {
      unit *= 1000
      suffix = next
    }
    let whole = number / unit
    let digits = whole >= 100 ? 1 : whole >= 10 ? 2 : 3
    let scale: UInt64 = digits == 1 ? 10 : digits == 2 ? 100 : 1000
    let fraction = String(number % unit * scale / unit)
    return "\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction + suffix
  }
}
