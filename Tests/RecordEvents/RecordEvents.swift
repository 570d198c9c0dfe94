import Bytes
import Recorder

/// `record-events OUTPUT MILLISECONDS EVENT [COMMAND...]`: a recording of one event, without probes of its own;
/// $SUB_BUFFER: KiB of a page of its ring buffer.
@main
enum RecordEvents {
  static func main() throws {
    let words = CommandLine.arguments
    guard words.count >= 4, let tracefs = Tracefs.find() else { return }
    var capture = Capture(
      tracefs, probes: [], tracepoints: [words[3]], output: words[1], machine: "x86_64")
    capture.bufferSize = 4096
    capture.subBufferSize = ProcessState.environment["SUB_BUFFER"].flatMap { Int($0) }
    capture.duration = Int64(words[2])
    capture.command = Array(words.dropFirst(4))
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
