import Replay
package import Report
import Trace

extension Session {
  /// What is in the recording. Reads all of it.
  package func contents() throws(Problem) -> Contents {
    let analysis = try survey()
    var contents = Contents(try document(analysis))
    let recording = file.recording
    contents.clockIsInNanoseconds = recording.clockIsInNanoseconds
    contents.guests = recording.guests.map {
      Contents.Guest(name: $0.name, vcpus: $0.threads.count)
    }
    contents.isForeign = foreignness != nil
    if !contents.isForeign {
      contents.evidence = EvidenceSource.all(
        in: recording.recordedEvents, instructions: recording.instructionSources)
    }
    contents.obstacle = contents.document.obstacle ?? foreignness
    let losses = file.losses
    let cpus = Set(file.firstTimeByCPU.keys).union(losses.byCPU.keys).union(
      losses.samplesByCPU.keys)
    contents.cpus = cpus.sorted().map { cpu in
      var span: (first: UInt64, last: UInt64)?
      if let first = file.firstTimeByCPU[cpu], let last = file.lastTimeByCPU[cpu] {
        span = (first, last)
      }
      return Contents.CPU(cpu: cpu, span: span, lost: losses.byCPU[cpu] ?? losses.samplesByCPU[cpu])
    }
    return contents
  }
}
