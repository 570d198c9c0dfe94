import Ptrauth
import Regression
import Replay

/// `compare --format json`: one document.
///
///     schema      "ptrauth-trace/comparison/1", and toolVersion
///     verdict     regression | faulty, not known to be new | no regression | cannot judge; reason: a sentence
///     base, new   [{name, kernel, verdict, eventsMissing, criticalNotJudged; of merged ones recordings}]
///     findings    rule, change (new | gone | same | not judged), severity, correctness, base and new
///                 {recordings, count}, statement, baseIsBlind; of merged sides shareP (Fisher's exact test of the shares
///                 of recordings that have it)
///     criticalNotJudged   critical rules that no recording of the new side judges, though its kernel can break
///                 them; requiredNotJudged: the same of those that --require names: cannot judge
///     lostFromSight   correctness rules that the base can show and the new side cannot: cannot judge
///     rates       metric, words, base and new (one value a recording), baseMedian, newMedian, ratio (null:
///                 nothing to divide by), p (null: fewer than 4 a side), significant, lowerBound
///     thresholds  condition, crossed (null: nothing to measure)
public enum ComparisonJSON {
  public static func render(_ report: ComparisonReport) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    let comparison = report.comparison
    json.object { json in
      json.begin(.comparison)
      json.field("verdict", report.verdict.rawValue)
      json.field("reason", report.sentence)
      for (side, samples) in [("base", comparison.base), ("new", comparison.new)] {
        json.key(side)
        json.array { json in
          for sample in samples {
            json.object { json in
              json.field("name", sample.name)
              json.field("kernel", sample.kernel)
              json.field("verdict", sample.verdict.word)
              json.field("eventsMissing", sample.isIncomplete)
              if let merged = sample.merged { json.field("recordings", merged.recordings) }
              json.key("criticalNotJudged")
              json.array { json in for rule in sample.criticalNotJudged { json.value(rule.id) } }
            }
          }
        }
      }
      json.key("findings")
      json.array { json in
        for change in comparison.findings { json.object { finding(change, &$0) } }
      }
      json.key("criticalNotJudged")
      json.array { json in for rule in report.criticalNotJudged { json.value(rule) } }
      json.key("requiredNotJudged")
      json.array { json in for rule in report.requiredNotJudged { json.value(rule) } }
      json.key("lostFromSight")
      json.array { json in for rule in report.lostFromSight { json.value(rule) } }
      json.key("rates")
      json.array { json in for rate in comparison.rates { json.object { self.rate(rate, &$0) } } }
      json.key("thresholds")
      json.array { json in
        for threshold in report.thresholds {
          json.object { json in
            json.field("condition", threshold.description)
            json.field("crossed", comparison.crosses(threshold))
          }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func finding(
    _ change: Regression.Comparison.FindingChange, _ json: inout JSONWriter
  ) {
    json.field("rule", change.rule)
    json.field("change", change.kind.rawValue)
    json.field("severity", change.severity.name)
    json.field("correctness", change.isCorrectness)
    for (side, counts) in [("base", change.base), ("new", change.new)] {
      json.key(side)
      json.object { json in
        json.field("recordings", counts.recordings)
        json.field("count", counts.count)
      }
    }
    json.field("statement", change.statement)
    json.field("baseIsBlind", change.baseIsBlind)
    if let p = change.shareP {
      json.key("shareP")
      json.value(p)
    }
  }

  private static func rate(_ rate: Regression.Comparison.Rate, _ json: inout JSONWriter) {
    func number(_ value: Double?, _ json: inout JSONWriter) {
      if let value, value.isFinite { json.value(value) } else { json.null() }
    }
    json.field("metric", rate.metric.name)
    json.field("words", rate.metric.words)
    for (side, values) in [("base", rate.base), ("new", rate.new)] {
      json.key(side)
      json.array { json in for value in values { number(value, &json) } }
    }
    for (name, value) in [
      ("baseMedian", rate.baseMedian), ("newMedian", rate.newMedian), ("ratio", rate.ratio),
      ("p", rate.p),
    ] {
      json.key(name)
      number(value, &json)
    }
    json.field("significant", rate.isSignificant)
    json.field("lowerBound", rate.isLowerBound)
  }
}
