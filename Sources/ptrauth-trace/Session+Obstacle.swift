package import Trace

extension Session {
  /// Why no vCPU could be followed, and what to do next.
  package func whyUnusable(_ recording: Recording) -> String {
    if let foreignness = foreignness ?? recording.foreignness { return foreignness }
    if recording.hostTraceID != nil {
      return
        "this is a guest's recording, which shows what ran in the guest and not the KVM that ran it; "
        + "give the host's trace.dat, and this one behind it"
    }
    if recording.isIncomplete, (recording.guestEntry?.count ?? 0) == 0 {
      return
        "no kvm_entry is in what is left of the recording: it is cut or damaged, and guests may have run in what is "
        + "missing; if kvm:* was not recorded, record with `perf record -a -e 'kvm:*' ...`"
    }
    guard let entry = recording.guestEntry else { return whyNoEntry(recording) }
    if entry.count == 0 {
      return recording.listsWhatWasOpened
        ? "kvm_entry was recorded and never hit: no guest ran meanwhile"
        : "kvm_entry is among the formats of this recording and was never hit: it was not enabled, or no guest "
          + "ran meanwhile; the recording does not tell. Record with `trace-cmd record -e kvm ...`, or with "
          + "`perf record -a -e 'kvm:*' ...`"
    }
    let hits = entry.count == 1 ? "1 kvm_entry is" : "\(entry.count) kvm_entry are"
    if entriesRead == 0 {
      return recording.isText
        ? "\(hits) there, and not one of its lines has the values that KVM on arm64 prints on it; if they stand on "
          + "the next line (a mail was wrapped), give the file unwrapped"
        : "\(hits) there, and could not be decoded (see the warnings)"
    }
    return
      "\(hits) there, and no run of a vCPU could be followed from them: their threads are not recorded, or no "
      + "kvm_exit is"
  }

  private func whyNoEntry(_ recording: Recording) -> String {
    if recording.commandLine.contains("kvm"), !recording.commandLine.contains("stat") {
      return
        "`perf kvm record` samples where host and guests spend their time and records no events; "
        + "record with `perf kvm stat record -a`, or with `perf record -a -e 'kvm:*' ...`"
    }
    return "no kvm_entry was recorded; record with `perf record -a -e 'kvm:*' ...`"
      + (instructionRemark.map { "; \($0)" } ?? "")
  }
}

extension Recording {
  fileprivate var guestEntry: RecordedEvent? {
    recordedEvents.filter { $0.system == "kvm" && $0.name == "kvm_entry" }.max {
      $0.count < $1.count
    }
  }

  fileprivate var isText: Bool { format.hasPrefix("ftrace text") }

  /// Its events are those that were opened: perf writes no others. trace-cmd extract and a copy of tracefs have
  /// every event's format.
  fileprivate var listsWhatWasOpened: Bool { format.hasPrefix("perf.data") }

  /// Why there is nothing to judge: another architecture's recording; nil if it is none, as far as it says.
  var foreignness: String? {
    let rest = "only KVM on arm64 switches these keys, so there is nothing to judge"
    // armv8l: a 32-bit recorder on an arm64 kernel.
    if let architecture, !["aarch64", "arm64", "armv8l", "armv8b"].contains(architecture) {
      return "the recording was made on \(architecture): \(rest)"
    }
    guard let entry = recordedEvents.first(where: { $0.system == "kvm" && Self.isForeign($0) })
    else {
      return nil
    }
    let x86 = entry.fields.contains { ["guest_rip", "rip", "exit_reason"].contains($0) }
    return "its \(entry.name) is \(x86 ? "x86's" : "of another architecture"), not arm64's: \(rest)"
  }

  private static func isForeign(_ event: RecordedEvent) -> Bool {
    guard !event.isProbe, !event.fields.isEmpty else { return false }
    return event.name == "kvm_entry" && !event.fields.contains("vcpu_pc")
      || event.name == "kvm_exit" && event.fields.contains("exit_reason")
  }
}
