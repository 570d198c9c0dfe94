import Fleet
import Ptrauth
import Regression
import Replay

/// `merge --format json`: one document.
///
///     schema      "ptrauth-trace/fleet/1", and toolVersion
///     verdict     findings | cannot judge | clean; reason: a sentence; failOn, fails (the exit code is 1)
///     criticalNotJudged   critical rules that no recording of some group judges; of a group, that none of its does
///     by          facets that recordings are told apart by; null: all
///     recordings, open   how many; and how many of them are no pass, whatever was found in others
///     damaged     lines that are no summary {total, named}; absent: none
///     firstBad    the number of the first group that fails; null: none does
///     rules       [{rule, severity, correctness, recordings, judged, groups, first (the first group that has it), lastGood (the
///                 last group before it that has it not; null)}]
///     groups      [{name, verdict, kernel, labels, and what a summary has; quantiles {metric: {recordings, vms, vcpus: [median,
///                 90 %, 99 %, most]}}}], in the order of kernels and labels
public enum FleetJSON {
  public static func render(_ report: FleetReport) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.fleet)
      json.field("verdict", report.word.lowercased())
      json.field("reason", report.sentence)
      json.key("criticalNotJudged")
      json.array { json in for item in report.unseen { json.value(item.rule.id) } }
      json.field("failOn", report.failOn?.name ?? "none")
      json.field("fails", !report.failing.isEmpty)
      json.key("by")
      if let facets = report.fleet.grouping.facets {
        json.array { json in for facet in facets { json.value(facet.name) } }
      } else {
        json.null()
      }
      json.field("recordings", report.total.recordings)
      json.field("open", report.total.open)
      SummaryReport.names("damaged", report.fleet.damaged, &json)
      json.field("firstBad", report.firstBad)
      json.key("rules")
      json.array { json in for item in report.found { json.object { rule(item, &$0) } } }
      json.key("groups")
      json.array { json in
        for row in report.rows {
          json.object { json in
            json.field("name", row.group.words)
            json.field("verdict", report.word(row.tally))
            json.key("criticalNotJudged")
            json.array { json in
              for rule in FleetReport.unseen(row.tally) { json.value(rule.id) }
            }
            SummaryReport.group(row.group, &json)
            SummaryReport.members(row.tally, &json)
            quantiles(row.tally, &json)
          }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func rule(_ item: FleetReport.FoundRule, _ json: inout JSONWriter) {
    json.field("rule", item.rule.id)
    json.field("severity", item.rule.severity.name)
    json.field("correctness", item.rule.isCorrectness)
    json.field("recordings", item.tally.recordings(.broken))
    json.field("judged", item.tally.judged)
    json.field("groups", item.groups)
    json.field("first", item.first)
    json.field("lastGood", item.lastGood)
  }

  private static func quantiles(_ tally: Tally, _ json: inout JSONWriter) {
    json.key("quantiles")
    json.object { json in
      for metric in Metric.all {
        guard let rates = tally.rates[metric] else { continue }
        json.key(metric.name)
        json.object { json in
          for (name, sketch) in [
            ("recordings", rates.recordings), ("vms", rates.vms), ("vcpus", rates.vcpus),
          ] where !sketch.isEmpty {
            json.key(name)
            json.array { json in
              for (_, share) in FleetReport.quantiles { json.value(sketch.quantile(share) ?? 0) }
            }
          }
        }
      }
    }
  }
}
