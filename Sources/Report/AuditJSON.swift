public import Ptrauth

/// The checklist as one JSON document.
///
///     { "schema": "ptrauth-trace/audit/2", "toolVersion", "verdict": "pass" | "fail" | "cannot judge",
///       "kernel": { "path", "buildId", "generation", "generationId", "types": ["BTF", "DWARF"], "btf" },
///       "checks": [ { "id": "S2", "title", "place", "outcome", "statement", "rule", "severity",
///                     "lines": [ { "address", "word", "symbol", "source", "text", "marked" } ] } ],
///       "sites": [ { "address", "place", "user", "reads": [], "writes": [] } ] }
///
/// Where there is no audit, "error" says why and the lists are empty. `outcome` is "pass", "fail", "note", "not applicable" or "cannot judge"; addresses and words are
/// hexadecimal strings; `rule` and `severity` are null unless a rule is concerned.
public enum AuditJSON {
  public static func render(_ audit: CodeAudit, of kernel: AuditSubjectFacts) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.audit)
      json.field("verdict", audit.verdict.rawValue)
      json.key("kernel")
      json.object { json in
        json.field("path", kernel.path)
        json.field("buildId", kernel.buildID)
        json.field("generation", kernel.generation?.name)
        json.field("generationId", kernel.generation?.id)
        json.key("types")
        json.array { json in for format in kernel.typeFormats { json.value(format) } }
        json.field("btf", kernel.btf)
      }
      json.key("checks")
      json.array { json in for check in audit.checks { write(check, &json) } }
      json.key("sites")
      json.array { json in
        for site in audit.sites {
          json.object { json in
            json.field("address", hexadecimal(site.address))
            json.field("place", site.place)
            json.field("user", site.user.rawValue)
            json.key("reads")
            json.array { json in for key in site.reads { json.value(key.name) } }
            json.key("writes")
            json.array { json in for key in site.writes { json.value(key.name) } }
          }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  /// The document where there is no audit: `error` says why, `checks` and `sites` are empty.
  public static func render(unusable path: String, _ sentence: String) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.audit)
      json.field("verdict", CodeCheck.Outcome.cannotJudge.rawValue)
      json.field("error", sentence)
      json.key("kernel")
      json.object { json in json.field("path", path) }
      json.key("checks")
      json.array { _ in }
      json.key("sites")
      json.array { _ in }
    }
    json.newline()
    return json.bytes
  }

  private static func write(_ check: CodeCheck, _ json: inout JSONWriter) {
    json.object { json in
      json.field("id", check.question.rawValue)
      json.field("title", check.question.title)
      json.field("place", check.place)
      json.field("outcome", check.outcome.rawValue)
      json.field("statement", check.statement)
      json.field("rule", check.rule?.id)
      json.field("severity", check.rule?.severity.name)
      json.key("lines")
      json.array { json in
        for line in check.lines {
          json.object { json in
            json.field("address", hexadecimal(line.address))
            json.field("word", hexadecimal(UInt64(line.word)))
            json.field("symbol", line.symbol)
            json.field("source", line.source)
            json.field("text", line.text)
            json.field("marked", line.isMarked)
          }
        }
      }
    }
  }
}
