import Ptrauth
import Replay

/// `info --format json`: one document.
///
///     schema      "ptrauth-trace/info/1", and toolVersion
///     recording   path, format, bytes, clock, nanoseconds (false: times are ticks), osrelease, arch, cpus
///                 (online), command, buildId, begin, end, incomplete, lostSamples, warnings
///     kernel      vmlinux, match, generation, generationBasis
///     events      {"system:name": count}, hits or none
///     eventCount  their sum
///     eventsUsed  those that the analysis has a use for
///     cpus        cpu (null: not recorded), first, last (null: no event), lost (null: none known; 0: not counted)
///     guests      name, vcpus
///     evidence    kind, there, events, count, words, remedy (null where it is there)
///     rules       rule, correctness, judged, reason and remedy (null where it is judged), applies (false:
///                 this kernel or its guests cannot break it), inCode (no event of this kernel shows it: its
///                 code is judged)
///     suffices    yes | partly | no
///     obstacle    why nothing can be judged, or null
///     next        the command that records what is missing, or null
///
/// Several recordings are an array of such documents; one that cannot be read is there with schema, recording
/// {path}, suffices "no" and obstacle.
public enum ContentsJSON {
  public static func render(_ contents: Contents) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    let facts = contents.document.recording
    let kernel = contents.document.kernel
    json.object { json in
      json.begin(.info)
      json.key("recording")
      json.object { recording(contents, &$0) }
      json.key("kernel")
      json.object { json in
        json.field("vmlinux", kernel.path)
        json.field("match", kernel.match)
        json.field("generation", kernel.generation?.name)
        json.field("generationBasis", kernel.generationBasis)
      }
      json.key("events")
      json.object { json in for event in facts.events { json.field(event.name, event.count) } }
      json.field("eventCount", contents.eventCount)
      json.field("eventsUsed", contents.document.analysis.eventCount)
      json.key("cpus")
      json.array { json in
        for cpu in contents.cpus {
          json.object { json in
            json.field("cpu", cpu.cpu < 0 ? nil : cpu.cpu)
            json.field("first", cpu.span?.first)
            json.field("last", cpu.span?.last)
            json.field("lost", cpu.lost)
          }
        }
      }
      json.key("guests")
      json.array { json in
        for guest in contents.guests {
          json.object { json in
            json.field("name", guest.name)
            json.field("vcpus", guest.vcpus)
          }
        }
      }
      json.key("evidence")
      json.array { json in
        for source in contents.evidence { json.object { evidence(source, &$0) } }
      }
      json.key("rules")
      json.array { json in
        for rule in Analysis.judgedRules { json.object { self.rule(rule, contents, &$0) } }
      }
      json.field("suffices", contents.sufficiency.rawValue)
      json.field("obstacle", contents.obstacle)
      json.field("next", contents.next)
    }
    json.newline()
    return json.bytes
  }

  /// Stands for the document of a recording that cannot be read, among those of others.
  public static func refused(path: String, sentence: String) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.info)
      json.key("recording")
      json.object { $0.field("path", path) }
      json.field("suffices", Contents.Sufficiency.no.rawValue)
      json.field("obstacle", sentence)
    }
    json.newline()
    return json.bytes
  }

  private static func recording(_ contents: Contents, _ json: inout JSONWriter) {
    let facts = contents.document.recording
    json.field("path", facts.path)
    json.field("format", facts.format)
    json.field("bytes", facts.byteCount)
    json.field("clock", facts.clock)
    json.field("nanoseconds", contents.clockIsInNanoseconds)
    json.field("osrelease", facts.osRelease)
    json.field("arch", facts.architecture)
    json.field("cpus", facts.cpusOnline)
    json.key("command")
    json.array { json in for word in facts.commandLine { json.value(word) } }
    json.field("buildId", contents.document.kernel.recordedBuildID)
    json.field("begin", contents.span?.first)
    json.field("end", contents.span?.last)
    json.field("incomplete", contents.isIncomplete)
    json.field("lostSamples", facts.lostSamples)
    json.key("warnings")
    json.array { json in for warning in facts.warnings { json.value(warning) } }
  }

  private static func evidence(_ source: EvidenceSource, _ json: inout JSONWriter) {
    json.field("kind", source.kind.rawValue)
    json.field("there", source.isThere)
    json.key("events")
    json.array { json in for event in source.events { json.value(event) } }
    json.field("count", source.count)
    json.field("words", source.kind.words)
    json.field("remedy", source.isThere ? nil : source.kind.remedy)
  }

  private static func rule(_ rule: Rule, _ contents: Contents, _ json: inout JSONWriter) {
    let item = contents.document.analysis.notObservable.first { $0.rule == rule }
    json.field("rule", rule.id)
    json.field("correctness", rule.isCorrectness)
    json.field("judged", item == nil && contents.obstacle == nil)
    json.field("reason", contents.obstacle ?? item?.reason)
    json.field("remedy", contents.obstacle == nil ? item?.remedy : nil)
    json.field("applies", item?.applies ?? true)
    json.field("inCode", contents.document.analysis.code.rules.contains(rule))
  }
}
