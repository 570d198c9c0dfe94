import Ptrauth
import Replay

/// `whatif --format json`: one document.
///
///     schema      "ptrauth-trace/whatif/1", and toolVersion
///     recording   path, format, clock
///     kernel      vmlinux, generation, generationId, generationBasis, usesPointerAuth
///     observed    vcpus, featureUnknown, loads, used, maybeUsed, passes {quiet, used, unknown, cut}, traps,
///                 leftOut, trapsWithoutFeature
///     weights     mrs, msr, pairs, isb, hyp, full
///     policies    policy, title, own, correct (true | false | null), cost {component: [least, most]},
///                 weighted [least, most], rank [best, worst] or null
///
/// A `most` of null is without limit. Ranks are by the weights, 1 the cheapest.
public enum WhatIfJSON {
  public static func render(_ whatIf: WhatIf) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.whatif)
      json.key("recording")
      json.object { json in
        json.field("path", whatIf.document.recording.path)
        json.field("format", whatIf.document.recording.format)
        json.field("clock", whatIf.document.recording.clock)
      }
      json.key("kernel")
      json.object { json in
        json.field("vmlinux", whatIf.document.kernel.path)
        json.field("generation", whatIf.document.kernel.generation?.name)
        json.field("generationId", whatIf.document.kernel.generation?.id)
        json.field("generationBasis", whatIf.document.kernel.generationBasis)
        json.field("usesPointerAuth", whatIf.document.kernel.usesPointerAuth)
      }
      json.key("observed")
      json.object { observed(whatIf, &$0) }
      json.key("weights")
      json.object { json in
        let weights = whatIf.weights
        for (name, value) in [
          ("mrs", weights.mrs), ("msr", weights.msr), ("pairs", weights.pairs),
          ("isb", weights.isb), ("hyp", weights.hypTrips), ("full", weights.fullTrips),
        ] {
          json.key(name)
          json.value(value)
        }
      }
      json.key("policies")
      json.array { json in
        for row in whatIf.comparison.rows { json.object { policy(row, &$0) } }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func observed(_ whatIf: WhatIf, _ json: inout JSONWriter) {
    json.field("vcpus", whatIf.vcpus.count)
    json.field("featureUnknown", whatIf.vcpus.count { $0.feature == .unknown })
    json.field("loads", whatIf.total(\.loads))
    json.field("used", whatIf.total(\.used))
    json.field("maybeUsed", whatIf.total(\.maybeUsed))
    json.key("passes")
    json.object { json in
      json.field("quiet", whatIf.total(\.quietPasses))
      json.field("used", whatIf.total(\.usedPasses))
      json.field("unknown", whatIf.total(\.unknownPasses))
      json.field("cut", whatIf.total(\.cutPasses))
    }
    json.field("traps", whatIf.total(\.traps))
    json.field("leftOut", whatIf.total(\.leftOut))
    json.field("trapsWithoutFeature", whatIf.trapsWithoutFeature)
  }

  private static func policy(_ row: PolicyComparison.Row, _ json: inout JSONWriter) {
    json.field("policy", row.policy.id)
    json.field("title", row.policy.title)
    json.field("own", row.isOwn)
    json.field("correct", row.isLegal)
    json.key("cost")
    json.object { json in
      for (component, high) in zip(CostVector.components, row.high) {
        json.key(component.name)
        json.array { json in
          json.value(row.low[keyPath: component.value])
          json.value(high)
        }
      }
    }
    json.key("weighted")
    json.array { json in
      json.value(row.weightedLow)
      json.value(row.weightedHigh)
    }
    json.key("rank")
    if let rank = row.rank {
      json.array { json in
        json.value(rank.lowerBound)
        json.value(rank.upperBound)
      }
    } else {
      json.null()
    }
  }
}
