import Bytes
import Trace

/// What a killed recording to the same file has left. It can be read, and may be all there is of a crash: it gets
/// another name, as perf.data gets perf.data.old, before the files are written anew.
struct LeftRecording {
  let output: String

  /// The new name of what is read, nil if nothing was there. What had that name before is gone.
  func setAside() throws(SystemFileError) -> String? {
    let file = UnfinishedRecording.path(of: output)
    guard SystemFile.exists(file) else { return nil }
    let old = output + ".old"
    let oldFile = UnfinishedRecording.path(of: old)
    // Pages of two recordings are never beside one file.
    SystemFile.remove(oldFile)
    for cpu in UnfinishedRecording.parts(of: old) {
      SystemFile.remove(UnfinishedRecording.part(of: old, cpu: cpu))
    }
    for cpu in UnfinishedRecording.parts(of: output) {
      try SystemFile.rename(
        UnfinishedRecording.part(of: output, cpu: cpu),
        to: UnfinishedRecording.part(of: old, cpu: cpu))
    }
    try SystemFile.rename(file, to: oldFile)
    return oldFile
  }
}
