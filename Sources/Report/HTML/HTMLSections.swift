import Ptrauth
import Replay

/// The parts of the page that are text and tables: whole without a script.
enum HTMLSections {
  static func facts(_ document: Document, _ page: inout Markup) {
    let facts = document.recording
    let kernel = document.kernel
    let analysis = document.analysis
    page.element("section", [("class", "facts")]) { page in
      page.element("dl") { page in
        fact("recording", &page) { page in
          page.element("code", facts.path)
          let span = analysis.lastTime - min(analysis.firstTime, analysis.lastTime)
          page.text(
            " \(facts.format), \(size(facts.byteCount)), \(duration(span)), "
              + "\(document.eventWords), "
              + "\(counted(UInt64(analysis.cpuCount), "pCPU")), clock \(facts.clock)")
        }
        fact("kernel", &page) { page in
          let names = [facts.osRelease, facts.architecture].compactMap(\.self)
          page.text(names.joined(separator: " ") + (names.isEmpty ? "" : "; "))
          page.element("code", kernel.path ?? "no vmlinux")
          page.text(" \(kernel.match)")
        }
        fact("scheme", &page) { page in
          if let generation = kernel.generation {
            page.text("\(generation.name) (\(generation.id)), from \(kernel.generationBasis)")
          } else {
            page.text("not known: \(kernel.generationBasis)")
          }
        }
        let code = CodeSentence(analysis.code)
        fact("code", &page) { $0.text(code.text) }
        for warning in code.warnings { fact("code", &page) { $0.text(warning) } }
        if let selection = SelectionSentence(analysis) {
          fact("filtered", &page) { $0.element("strong", selection.text) }
        }
        let losses = LossSentences(document)
        if !losses.missing.isEmpty {
          fact("missing", &page) {
            $0.element("strong", losses.missing.joined(separator: ", "))
          }
        }
        for item in analysis.requiredInVain {
          fact("required", &page) {
            $0.text("\(item.rule.id) cannot be broken here, and is fulfilled: \(item.reason)")
          }
        }
        for doubt in losses.doubts { fact("silent", &page) { $0.text(doubt) } }
        for warning in facts.warnings { fact("warning", &page) { $0.text(warning) } }
      }
    }
    page.raw("\n")
  }

  static func fact(
    _ name: String, _ page: inout Markup, _ body: (inout Markup) -> Void
  ) {
    page.element("div") { page in
      page.element("dt", name)
      page.element("dd", [], body)
    }
  }

  static func header(_ names: [String], _ page: inout Markup) {
    page.element("thead") { page in
      page.element("tr") { page in
        for name in names { page.element("th", [("scope", "col")], name) }
      }
    }
  }

  static func numbers(_ values: [UInt64?], _ page: inout Markup) {
    for value in values {
      page.element("td", [("class", "n")], value.map { String($0) } ?? "\u{2013}")
    }
  }

  static func vcpus(_ document: Document, _ page: inout Markup) {
    let vcpus = document.analysis.vcpus
    guard !vcpus.isEmpty else { return }
    page.element("section") { page in
      page.element("h2", "vCPUs")
      page.element("table") { page in
        header(
          [
            "VM", "vCPU", "tid", "ptrauth", "loads", "runs", "known", "enabled",
            "EC 0x09", "key register", "hidden traps", "UNDEF", "host saves", "runs switched",
            "address",
          ], &page)
        page.element("tbody") { page in
          for vcpu in vcpus {
            page.element("tr") { page in
              let c = vcpu.counters
              page.element("td", vcpu.machine)
              page.element("td", [("class", "n")], vcpu.identity.number.map(String.init) ?? "?")
              page.element("td", [("class", "n")], String(vcpu.tid))
              page.element("td", featureWord(vcpu.feature))
              func bounded(_ count: UInt64, _ counter: CounterSet) {
                let sign =
                  c.bounds.upper.contains(counter)
                  ? "\u{2264} " : c.bounds.lower.contains(counter) ? "\u{2265} " : ""
                page.element("td", [("class", "n")], sign + String(count))
              }
              bounded(c.loads, .loads)
              numbers([c.runs], &page)
              page.element(
                "td", [("class", "n")],
                c.runs == 0 ? "\u{2013}" : "\(c.knownRuns * 100 / c.runs)%")
              bounded(c.enabledRuns, .enabledRuns)
              numbers([c.instructionTraps], &page)
              bounded(c.registerTraps, .keyRegister)
              bounded(c.hiddenTraps, .hidden)
              bounded(c.undefs, .undefs)
              bounded(c.hostSaves, .hostSaves)
              bounded(c.keySwitches, .keySwitches)
              page.element("td") {
                $0.element("code", vcpu.identity.pointer.map(hexadecimal) ?? "by thread")
              }
            }
          }
        }
      }
      vcpuColumns(vcpus, &page)
    }
    page.raw("\n")
  }

  /// What the columns of the table of vCPUs count.
  private static func vcpuColumns(_ vcpus: [Analysis.VCPU], _ page: inout Markup) {
    let lower = vcpus.reduce(into: CounterSet()) { $0.formUnion($1.counters.bounds.lower) }
    let isExact = !lower.contains(.keySwitches)
    let pass = Cost.switchedPass
    page.element("dl", [("class", "columns")]) { page in
      for (name, words) in [
        (
          "address",
          "of its struct kvm_vcpu"
            + (vcpus.contains { $0.identity.kind == .thread }
              ? "; by thread: one thread is taken for one vCPU, which is usual, not certain" : "")
        ),
        ("ptrauth", "whether the vCPU has the feature; partial: only one of the two"),
        (
          "loads",
          "kvm_arch_vcpu_load to kvm_arch_vcpu_put"
            + (lower.contains(.loads) ? "; \u{2265}: as many as other events prove" : "")
        ),
        ("runs", "kvm_entry to kvm_exit"),
        ("known", "share of the runs whose API and APK are known at both ends"),
        (
          "enabled",
          "runs known to have been entered with API or APK set"
            + (lower.contains(.enabledRuns)
              ? "; \u{2265}, here and in what follows: as many as other events prove, as nothing samples the bits"
              : lower.isDisjoint(with: [.keyRegister, .hidden, .undefs, .hostSaves])
                ? "" : "; \u{2265} in what follows: as many as the events prove")
        ),
        ("EC 0x09", "traps of pointer authentication instructions that reached the host"),
        ("key register", "traps of reads and writes of key registers (EC 0x18)"),
        ("hidden traps", "traps handled at EL2, without a kvm_exit"),
        ("UNDEF", "undefined instruction exceptions that were injected into it"),
        ("host saves", "times the host's keys were saved"),
        (
          "runs switched",
          "passes of them that switched keys: \(pass.reads) reads and \(pass.writes) writes of key registers each; "
            + (isExact
              ? "exact, as executed instructions were recorded"
              : "\u{2265}: the entry loop re-enters the guest without an event")
        ),
      ] {
        fact(name, &page) { $0.text(words + ".") }
      }
    }
  }

  private static func featureWord(_ feature: Feature) -> String {
    switch feature {
    case .both: "yes"
    case .none: "no"
    case .partial: "partial"
    case .unknown: "?"
    }
  }

  static func cpus(_ document: Document, _ page: inout Markup) {
    let cpus = document.analysis.cpus
    guard !cpus.isEmpty else { return }
    page.element("section") { page in
      page.element("h2", "pCPUs at the end of the recording")
      page.element("table") { page in
        header(["pCPU", "live keys", "host slots", "host saves"], &page)
        page.element("tbody") { page in
          for cpu in cpus {
            page.element("tr") { page in
              page.element("td", [("class", "n")], String(cpu.cpu))
              page.element("td", word(cpu.state.live) ?? "not known")
              page.element("td", word(cpu.state.hostSlots) ?? "not known")
              numbers([cpu.hostSaves], &page)
            }
          }
        }
      }
      page.element(
        "p", [("class", "note")],
        "Live keys are those in the registers. Host slots hold keys of the process that is named: valid if they "
          + "were saved since the last load on this pCPU, else stale, and nobody may rely on them.")
    }
    page.raw("\n")
  }

  static func notObservable(_ document: Document, _ page: inout Markup) {
    let items = document.analysis.notObservable
    hidden(
      "Not observable in this recording", ["rule", "why", "what would show it"],
      items.filter(\.applies), &page)
    hidden("Cannot happen here", ["rule", "why"], items.filter { !$0.applies }, &page)
  }

  private static func hidden(
    _ title: String, _ heads: [String], _ items: [Analysis.NotObservable], _ page: inout Markup
  ) {
    guard !items.isEmpty else { return }
    page.element("section") { page in
      page.element("h2", title)
      page.element("table") { page in
        header(heads, &page)
        page.element("tbody") { page in
          for item in items {
            page.element("tr") { page in
              page.element("td") { $0.element("code", item.rule.id) }
              page.element("td", item.reason)
              if item.applies { page.element("td", item.remedy) }
            }
          }
        }
      }
    }
    page.raw("\n")
  }

  /// What the recording holds and what the kernel's generation rests on.
  static func recording(_ document: Document, _ page: inout Markup) {
    page.element("section") { page in
      page.element("details") { page in
        page.element("summary", "Events recorded, and marks of the kernel's generation")
        if !document.recording.commandLine.isEmpty {
          page.element("pre", document.recording.commandLine.joined(separator: " "))
        }
        page.element("table") { page in
          header(["event", "count"], &page)
          page.element("tbody") { page in
            for event in document.recording.events {
              page.element("tr") { page in
                page.element("td") { $0.element("code", event.name) }
                numbers([event.count], &page)
              }
            }
          }
        }
        guard !document.kernel.marks.isEmpty else { return }
        page.element("table") { page in
          header(["mark", "outcome", "fits"], &page)
          page.element("tbody") { page in
            for mark in document.kernel.marks {
              page.element("tr") { page in
                page.element("td", mark.description)
                page.element("td", mark.outcome)
                page.element("td", mark.isConsistent ? "yes" : "no")
              }
            }
          }
        }
      }
    }
    page.raw("\n")
  }
}
