import Ptrauth
import Replay

/// `info` on a terminal: whether the recording suffices first, then what is in it.
public enum ContentsText {
  public static func render(_ contents: Contents, style: Style) -> String {
    var page = Page(style)
    verdict(contents, &page)
    header(contents, &page)
    events(contents, &page)
    cpus(contents, &page)
    guard !contents.isForeign else { return page.text }
    evidence(contents, &page)
    rules(contents, &page)
    next(contents, &page)
    return page.text
  }

  private static func verdict(_ contents: Contents, _ page: inout Page) {
    let judged = contents.judged.count
    let all = contents.breakable.count
    let gaps =
      (contents.isIncomplete ? "; events are missing, so no verdict can be clean" : "")
      + (contents.document.kernelRemark("info").map { "; \($0)" } ?? "")
    switch contents.sufficiency {
    case .yes:
      let word =
        contents.isIncomplete ? page.style.yellow("SUFFICES") : page.style.green("SUFFICES")
      page.sentence("\(word): all \(all) correctness rules can be judged\(gaps)")
    case .partly:
      page.sentence(
        page.style.yellow("SUFFICES IN PART")
          + ": \(judged) of \(all) correctness rules can be judged\(gaps)")
    case .no:
      page.sentence(
        page.style.yellow("DOES NOT SUFFICE") + ": " + contents.shortcoming
          + (contents.obstacle == nil
            ? contents.document.kernelRemark("info").map { "; \($0)" } ?? "" : ""))
    }
  }

  private static func header(_ contents: Contents, _ page: inout Page) {
    let facts = contents.document.recording
    let kernel = contents.document.kernel
    page.line()
    page.paragraph("recording  ", "\(facts.path) (\(facts.format), \(size(facts.byteCount)))")
    if let span = contents.span {
      let times =
        contents.clockIsInNanoseconds
        ? "\(seconds(span.first)) to \(seconds(span.last)) (\(duration(span.last - span.first)))"
        : "\(span.first) to \(span.last), which are ticks and not nanoseconds"
      page.paragraph("clock      ", "\(facts.clock): \(times)")
    } else {
      page.paragraph(
        "clock      ",
        "\(facts.clock); "
          + (contents.eventCount == 0 ? "there are no events" : "no event has a time"))
    }
    if !facts.commandLine.isEmpty {
      // Somebody may type it again.
      page.line("recorder   " + facts.commandLine.joined(separator: " "))
    }
    let machine = [facts.osRelease, facts.architecture].compactMap(\.self)
    page.paragraph(
      "kernel     ",
      ([machine.isEmpty ? "release not recorded" : machine.joined(separator: " ")]
        + [kernel.recordedBuildID.map { "build-id \($0)" } ?? "no build-id recorded"])
        .joined(separator: "; "))
    if !contents.isForeign { schemeOf(kernel, &page) }
    for guest in contents.guests {
      page.paragraph("guest      ", "\(guest.name), \(counted(UInt64(guest.vcpus), "vCPU"))")
    }
    let placed = contents.document.analysis.lostEvents.reduce(0) { $0 &+ $1.count }
    if facts.lostSamples > placed {
      page.paragraph(
        "lost       ",
        "\(counted(facts.lostSamples, "event")) in all, as the recorder counted without saying when"
      )
    } else if placed > 0 {
      page.paragraph("lost       ", "\(counted(placed, "event")) in all")
    }
    if facts.isIncomplete { page.paragraph("cut        ", "the end of the recording is missing") }
    for part in contents.document.analysis.missingParts { page.paragraph("left out   ", part) }
    if contents.document.analysis.sequenceBreaks > 0 {
      page.paragraph(
        "missing    ",
        "\(counted(contents.document.analysis.sequenceBreaks, "sequence")) of events cannot be "
          + "without missing ones, though the recording does not say so")
    }
    // The first line says it already.
    for warning in facts.warnings where warning != contents.obstacle {
      page.paragraph("warning    ", warning)
    }
  }

  private static func schemeOf(_ kernel: KernelFacts, _ page: inout Page) {
    page.paragraph(
      "vmlinux    ", (kernel.path.map { "\($0): " } ?? "none: ") + kernel.match)
    page.paragraph(
      "scheme     ",
      kernel.generation.map { "\($0.name) (\($0.id)), from \(kernel.generationBasis)" }
        ?? "not known: \(kernel.generationBasis)")
  }

  private static func events(_ contents: Contents, _ page: inout Page) {
    let events = contents.document.recording.events
    page.heading("Events")
    page.paragraph(
      "  \(String(contents.eventCount).right(10)) ",
      "in all, \(contents.document.analysis.eventCount) of them used")
    for event in events {
      page.paragraph("  \(String(event.count).right(10)) ", event.name)
    }
  }

  private static func cpus(_ contents: Contents, _ page: inout Page) {
    guard !contents.cpus.isEmpty else { return }
    page.heading("pCPUs")
    let online = contents.document.recording.cpusOnline.map { ", \($0) online" } ?? ""
    let known = contents.cpus.count { $0.cpu >= 0 }
    page.paragraph("  ", "\(counted(UInt64(known), "pCPU")) with events or losses\(online)")
    if known < contents.cpus.count {
      page.paragraph("  ", "?: which pCPU an event was on is not recorded")
    }
    var table = Table(columns: [
      .init("cpu", 4), .init("first", 20, turn: 2), .init("last", 20, turn: 1), .init("lost", 12),
    ])
    func time(_ value: UInt64?) -> String {
      value.map { contents.clockIsInNanoseconds ? seconds($0) : String($0) } ?? "-"
    }
    for cpu in contents.cpus {
      let lost = cpu.lost.map { $0 == 0 ? "uncounted" : String($0) } ?? "0"
      table.rows.append([
        cpu.cpu < 0 ? "?" : String(cpu.cpu), time(cpu.span?.first), time(cpu.span?.last), lost,
      ])
    }
    table.write(to: &page)
  }

  private static func next(_ contents: Contents, _ page: inout Page) {
    guard let command = contents.next else { return }
    page.heading("Next")
    page.line("  \(command)")
    if contents.document.kernel.path != nil || contents.obstacle != nil {
      page.paragraph(
        "       ",
        "as root on the arm64 host, records what every rule takes; with perf or trace-cmd: "
          + "`ptrauth-trace probes \(shellWord(contents.document.kernel.path ?? "vmlinux"))`")
    }
  }

  private static func evidence(_ contents: Contents, _ page: inout Page) {
    page.heading("Evidence")
    for source in contents.evidence {
      page.paragraph("  \(source.isThere ? "yes" : "no ")  ", source.kind.words)
      if source.isThere {
        page.paragraph(
          "       ", "\(source.events.joined(separator: ", ")): \(counted(source.count, "hit"))")
      } else if source.events.isEmpty {
        page.paragraph("       ", source.kind.remedy)
      } else {
        page.paragraph("       ", "\(source.events.joined(separator: ", ")): never hit")
      }
    }
  }

  private static func rules(_ contents: Contents, _ page: inout Page) {
    page.heading("Rules that can be judged")
    let hidden = contents.document.analysis.notObservable
    for rule in Analysis.judgedRules {
      if contents.obstacle != nil {
        page.line("  no   \(rule.id)")
      } else if let item = hidden.first(where: { $0.rule == rule }) {
        page.line("  \(item.applies ? "no " : "-  ")  \(rule.id)")
        page.paragraph("       ", item.reason + (item.applies ? "; \(item.remedy)" : ""))
      } else {
        page.line("  yes  \(rule.id)")
        if contents.document.analysis.code.rules.contains(rule) {
          page.paragraph("       ", "by the kernel's code: no event of this kernel shows it")
        }
      }
    }
  }
}
