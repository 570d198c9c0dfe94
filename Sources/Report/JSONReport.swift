import Ptrauth
import Replay

/// `--format json`: one document.
///
///     schema        "ptrauth-trace/analysis/2"
///     toolVersion   of the ptrauth-trace that wrote it
///     recording     path, format, bytes, clock, osrelease, arch, cpus, command, events {name: count}, eventsUsed,
///                   lost {"<cpu>": count}, lostSamples, incomplete (the end is missing), eventsMissing (for
///                   whatever reason), sequenceBreaks, missingParts (what the recorder left
///                   out, in words), someTasksOnly, silentTails
///                   {"<cpu>": ns before the end}, silences {count, since, until, cpu}, begin, end (ns of its clock), warnings, guests [{name,
///                   vcpus [{vcpuId, tid}]} and of a guest's own recording path, events, cpus, lost,
///                   incomplete, hostClock (its times are the host's), begin, end] if the recorder knew any
///     kernel        vmlinux, buildId, recordedBuildId, match, generation, generationId,
///                   generationBasis, marks [{mark, outcome, consistent}], usesPointerAuth,
///                   sources {rule: function (file:line) that it is about}
///     verdict       findings | incomplete | cannot judge | clean | unusable
///     reason        the verdict's sentence, as the text report begins with it
///     failOn        --fail-on; fails: a finding is of that severity or above (the exit code is 1)
///     judged        rules, of: correctness rules that were judged, and that this kernel can break
///     criticalNotJudged   critical rules that this kernel can break and of which nothing can be said
///     requiredNotJudged   the same of the rules that --require names: then nothing is clean
///     coverage      of judged rules: rule, situations in which its fault would have shown, vcpus in which one occurred, of
///                   (those that the fault could have harmed; both null: not about single vCPUs)
///     known         only with --known: findings {rule, level} that are in the list and do not count; gone {rule, level,
///                   judged}: in the list and not here (judged false: this recording does not show them)
///     filtered      only where a part is shown: options, rules (null: all), findings and occurrences {shown, of},
///                   vcpus and cpus of the whole recording, judgedInWhole (judged is of the whole recording),
///                   countersOfWhole (so are counters)
///     required      rules and severity (null: none) of --require
///     obstacle      why no vCPU could be followed, or null
///     code          the audit of the recorded kernel's code: audited, reason (why not), passed, failed, notJudged
///                   (numbers of checks), rules (judged by the code alone: no event of this kernel shows them),
///                   elsewhere and open [{rule, place, statement}]: what fails in code that nothing shows to
///                   have run, and what could not be judged
///     passes        only where samples say which instructions ran: event, complete, certainty (exactly |
///                   at least | sample), reasons, total and cpus [{cpu, calls, bailOuts, entries, exits,
///                   switchedEntries, switchedExits, partialSwitches, reads, writes}]
///     vcpus         vcpu (pointer or null), vcpuId, tid, pid and vmm (process and name of the VMM; null: not known),
///                   identity, feature, counters (guestTime: ns
///                   between kvm_entry and kvm_exit)
///     cpus          cpu, live, hostSlots, hostSaves: the state at the end
///     findings      rule, title, level (proved | static | suspected), severity, correctness, count, first,
///                   last (both null if static: count is then of places in the code), statement, consequence, lookAt, source, vcpus [{vcpu, vcpuId, tid, pid, count}],
///                   cost {reads, writes, trips} or null, evidence [{time, cpu, tid, event, detail}],
///                   code [{address, word, symbol, source, text}] (only if static)
///     instructions  of --instructions: as its own document (schema "ptrauth-trace/passes/1")
///     notObservable rule, reason, remedy, applies (false: this kernel or its guests cannot break it)
///
/// Several recordings are an array of such documents; one that cannot be read is there with schema,
/// recording {path}, verdict "unusable" and error (a sentence). The document of an instruction log is its
/// last element.
///
/// Times are nanoseconds of the recording's clock. Counters named in `lowerBounds` are lower bounds, those in
/// `upperBounds` are upper bounds.
/// Key values never appear.
public enum JSONReport {
  public static func render(_ document: Document) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    let analysis = document.analysis
    json.object { json in
      json.begin(.analysis)
      json.key("recording")
      json.object { recording(document, &$0) }
      json.key("kernel")
      json.object { kernel(document.kernel, &$0) }
      verdict(analysis, &json)
      required(analysis.requirement, &json)
      json.field("obstacle", document.obstacle)
      if let passes = analysis.passes {
        json.key("passes")
        json.object { PassReport(path: document.recording.path, passes).members(&$0) }
      }
      json.key("vcpus")
      json.array { json in for vcpu in analysis.vcpus { json.object { self.vcpu(vcpu, &$0) } } }
      json.key("cpus")
      json.array { json in
        for cpu in analysis.cpus {
          json.object { json in
            json.field("cpu", cpu.cpu)
            json.field("live", word(cpu.state.live))
            json.field("hostSlots", word(cpu.state.hostSlots))
            json.field("hostSaves", cpu.hostSaves)
          }
        }
      }
      json.key("findings")
      let names = VCPUNames(analysis)
      json.array { json in
        for finding in analysis.findings {
          json.object { self.finding(finding, document, names, &$0) }
        }
      }
      if let passes = document.passes {
        json.key("instructions")
        json.object { passes.write(&$0) }
      }
      json.key("notObservable")
      json.array { json in
        for item in analysis.notObservable {
          json.object { json in
            json.field("rule", item.rule.id)
            json.field("reason", item.reason)
            json.field("remedy", item.remedy)
            json.field("applies", item.applies)
          }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func recording(_ document: Document, _ json: inout JSONWriter) {
    let facts = document.recording
    json.field("path", facts.path)
    json.field("format", facts.format)
    json.field("bytes", facts.byteCount)
    json.field("clock", facts.clock)
    json.field("osrelease", facts.osRelease)
    json.field("arch", facts.architecture)
    json.field("cpus", facts.cpusOnline)
    json.key("command")
    json.array { json in for word in facts.commandLine { json.value(word) } }
    json.key("events")
    json.object { json in for event in facts.events { json.field(event.name, event.count) } }
    json.field("eventsUsed", document.analysis.eventCount)
    json.key("lost")
    json.object { json in
      for loss in document.analysis.lostEvents { json.field(String(loss.cpu), loss.count) }
    }
    json.field("lostSamples", facts.lostSamples)
    json.field("incomplete", facts.isIncomplete)
    json.field("eventsMissing", document.analysis.isIncomplete)
    json.field("sequenceBreaks", document.analysis.sequenceBreaks)
    json.key("missingParts")
    json.array { json in for part in document.analysis.missingParts { json.value(part) } }
    json.field("someTasksOnly", document.analysis.leavesOutTasks)
    json.key("silentTails")
    json.object { json in
      for tail in document.analysis.silentTails { json.field(String(tail.cpu), tail.nanoseconds) }
    }
    if let longest = document.analysis.longestSilence {
      json.key("silences")
      json.object { json in
        json.field("count", document.analysis.silenceCount)
        json.field("since", longest.since)
        json.field("until", longest.until)
        json.field("cpu", longest.busyCPU)
      }
    }
    json.field("begin", document.analysis.firstTime)
    json.field("end", document.analysis.lastTime)
    if !facts.guests.isEmpty {
      json.key("guests")
      json.array { json in for guest in facts.guests { json.object { guest.write(&$0) } } }
    }
    json.key("warnings")
    json.array { json in for warning in facts.warnings { json.value(warning) } }
  }

  static func kernel(_ facts: KernelFacts, _ json: inout JSONWriter) {
    json.field("vmlinux", facts.path)
    json.field("buildId", facts.buildID)
    json.field("recordedBuildId", facts.recordedBuildID)
    json.field("match", facts.match)
    json.field("generation", facts.generation?.name)
    json.field("generationId", facts.generation?.id)
    json.field("generationBasis", facts.generationBasis)
    json.key("marks")
    json.array { json in
      for mark in facts.marks {
        json.object { json in
          json.field("mark", mark.description)
          json.field("outcome", mark.outcome)
          json.field("consistent", mark.isConsistent)
        }
      }
    }
    json.field("usesPointerAuth", facts.usesPointerAuth)
    json.key("sources")
    json.object { json in
      for rule in Rule.all {
        if let source = facts.sources[rule.id] { json.field(rule.id, source.description) }
      }
    }
  }

  static func vcpu(_ vcpu: Analysis.VCPU, _ json: inout JSONWriter) {
    identity(vcpu.identity, &json)
    json.field("tid", vcpu.tid)
    json.field("pid", vcpu.pid < 0 ? nil : vcpu.pid)
    json.field("vmm", vcpu.vmm)
    json.field("identity", vcpu.identity.kind.words)
    json.field("feature", word(vcpu.feature))
    json.key("counters")
    json.object { json in
      let c = vcpu.counters
      json.field("loads", c.loads)
      json.field("puts", c.puts)
      json.field("runs", c.runs)
      json.field("knownRuns", c.knownRuns)
      json.field("enabledRuns", c.enabledRuns)
      json.key("traps")
      json.object { json in
        json.field("pac", c.instructionTraps)
        json.field("keyRegister", c.registerTraps)
        json.field("hidden", c.hiddenTraps)
      }
      json.field("undefs", c.undefs)
      json.field("resets", c.resets)
      json.field("hostSaves", c.hostSaves)
      json.field("keySwitches", c.keySwitches)
      json.field("guestTime", c.guestTime)
    }
    json.key("lowerBounds")
    json.array { for name in vcpu.counters.bounds.lower.names { $0.value(name) } }
    json.key("upperBounds")
    json.array { for name in vcpu.counters.bounds.upper.names { $0.value(name) } }
  }

  static func identity(_ identity: VCPUIdentity, _ json: inout JSONWriter) {
    json.field("vcpu", pointer: identity.pointer)
    json.field("vcpuId", identity.number)
  }
}

package func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

func word(_ feature: Feature) -> String? {
  switch feature {
  case .both: "both"
  case .none: "none"
  case .partial: "partial"
  case .unknown: nil
  }
}

func word(_ owner: KeyOwner) -> String? {
  switch owner {
  case .host(let process): process < 0 ? "host" : "host \(process)"
  case .kernel(let task): "kernel \(task)"
  case .guest(let vcpu), .oldGuest(let vcpu): "guest \(vcpu)"
  case .unwritten, .unknown: nil
  }
}

func word(_ slots: HostSlots) -> String? {
  guard let process = slots.process else { return nil }
  return slots.isFresh == .set ? "valid \(process)" : "stale \(process)"
}
