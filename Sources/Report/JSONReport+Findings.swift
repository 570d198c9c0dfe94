import Printing
import Ptrauth
import Replay

extension JSONReport {
  static func finding(
    _ finding: Finding, _ document: Document, _ names: VCPUNames, _ json: inout JSONWriter
  ) {
    json.field("rule", finding.rule.id)
    json.field("title", finding.rule.title)
    json.field("level", finding.level.word)
    json.field("severity", finding.rule.severity.name)
    json.field("correctness", finding.rule.isCorrectness)
    json.field("count", finding.count)
    json.field("first", finding.first?.time)
    json.field("last", finding.last?.time)
    json.field("statement", finding.statement)
    json.field("consequence", finding.rule.consequence)
    json.field("lookAt", finding.rule.lookAt)
    if !finding.causes.isEmpty {
      json.key("causes")
      json.array { json in
        for cause in finding.causes {
          json.object { json in
            json.field("rule", cause.rule.id)
            json.field("count", cause.count)
          }
        }
      }
    }
    json.field("source", document.kernel.sources[finding.rule.id]?.description)
    json.key("vcpus")
    json.array { json in
      for vcpu in finding.vcpus {
        json.object { json in
          identity(vcpu.identity, &json)
          json.field("tid", vcpu.identity.pointer == nil ? vcpu.identity.thread : nil)
          let pid = names.vcpu(vcpu.identity)?.pid ?? -1
          json.field("pid", pid < 0 ? nil : pid)
          json.field("count", vcpu.count)
        }
      }
    }
    json.key("cost")
    if let cost = finding.cost {
      json.object { json in
        json.field("reads", cost.reads)
        json.field("writes", cost.writes)
        json.field("trips", cost.trips)
      }
    } else {
      json.null()
    }
    json.key("evidence")
    json.array { json in
      for evidence in finding.evidence {
        json.object { json in
          json.field("time", evidence.moment.time)
          json.field("cpu", evidence.moment.cpu)
          json.field("tid", evidence.moment.tid)
          json.field("event", evidence.event)
          json.field("detail", evidence.detail)
        }
      }
    }
    guard finding.level == .static else { return }
    json.key("code")
    json.array { json in
      for line in finding.code {
        json.object { json in
          json.field("address", hexadecimal(line.address))
          json.field("word", hexadecimal(UInt64(line.word)))
          json.field("symbol", line.symbol)
          json.field("source", line.source)
          json.field("text", line.text)
        }
      }
    }
  }
}
