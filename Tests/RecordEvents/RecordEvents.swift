import Bytes
import Probing
import Recorder

/// `record-events OUTPUT MILLISECONDS EVENT [COMMAND...]`: a recording of one event; $SUB_BUFFER: KiB of a page of
/// its ring buffer; $PROBE: where a probe of its own is; $TRACEFS: where tracefs is.
@main
enum RecordEvents {
  static func main() throws {
    let words = CommandLine.arguments
    let environment = ProcessState.environment
    let places = environment["TRACEFS"].map { [$0] }
    guard words.count >= 4, let tracefs = places.map({ Tracefs.find(in: $0) }) ?? Tracefs.find()
    else { return }
    let probes = environment["PROBE"].map {
      [Probe(event: "probe", function: $0, arguments: [], purpose: "a test")]
    }
    var capture = Capture(
      tracefs, probes: probes ?? [], tracepoints: [words[3]], output: words[1], machine: "x86_64")
    capture.bufferSize = 4096
    capture.subBufferSize = environment["SUB_BUFFER"].flatMap { Int($0) }
    capture.duration = Int64(words[2])
    capture.command = Array(words.dropFirst(4))
    capture.notice = { print($0) }
    do {
      let result = try capture.run()
      print(
        result.status.counters.read, result.status.counters.lost, result.isCleanedUp, result.end)
      if let refusal = result.status.refusal { print("refused:", refusal.pages, refusal.reason) }
    } catch {
      print("error: \(error)")
    }
  }
}
