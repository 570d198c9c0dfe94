import Bytes

/// What `ptrauth-trace record` has written by the time it is killed.
///
///     OUT.unfinished      the trace.dat, whose table says how many bytes each CPU will have: none at first
///     OUT.cpuN            the pages of a CPU; gone once all of them are in OUT.unfinished
///
/// Opened by the name of the first, or as the directory that both lie in.
public struct UnfinishedRecording {
  private static let suffix = ".unfinished"

  public static func path(of output: String) -> String { output + suffix }
  /// trace-cmd's name for it.
  public static func part(of output: String, cpu: Int) -> String { "\(output).cpu\(cpu)" }

  /// The file, and the parts that are left.
  let paths: [String]
  /// Of the parts, which lie behind the file.
  let cpus: [Int]

  /// nil when it is a file like others.
  init?(_ path: String) {
    guard path.hasSuffix(Self.suffix), !Folder.isDirectory(path) else { return nil }
    let output = String(path.dropLast(Self.suffix.count))
    cpus = Self.parts(of: output)
    guard !cpus.isEmpty else { return nil }
    paths = [path] + cpus.map { Self.part(of: output, cpu: $0) }
  }

  /// The CPUs of which pages lie beside it.
  public static func parts(of output: String) -> [Int] {
    let name = output.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    let folder = name.count == output.count ? "." : String(output.dropLast(name.count))
    return (Folder.names(in: folder) ?? []).compactMap { other in
      let prefix = "\(name).cpu"
      guard other.hasPrefix(prefix), let cpu = Int(other.dropFirst(prefix.count)) else {
        return nil
      }
      return other == "\(prefix)\(cpu)" && cpu < Int(TimeSpans.cpuLimit) ? cpu : nil
    }.sorted()
  }

  func mapped() throws(TraceError) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(paths: paths)
    } catch {
      throw TraceError(TraceError.Code(error), path: paths[0])
    }
  }
}

extension TraceDatParts {
  /// The data of these CPUs lies where the parts do.
  ///
  /// - Parameter places: of the file and of each part, in the mapped bytes.
  mutating func take(_ left: UnfinishedRecording, places: [Range<Int>]) {
    for (cpu, place) in zip(left.cpus, places.dropFirst()) {
      let beyond = place.count % max(1, header.pageSize)
      if beyond > 0 {
        warnings.append(
          "the last page of CPU \(cpu) is not whole (\(beyond) of \(header.pageSize) bytes) and is left out"
        )
      }
      let known = buffers.first?.cpus.firstIndex { $0.number == UInt32(cpu) }
      guard let known, !buffers.isEmpty else { continue }
      buffers[0].cpus[known].offset = UInt64(place.lowerBound)
      buffers[0].cpus[known].size = UInt64(place.count - beyond)
    }
    isCut = true
    warnings.append(
      "ptrauth-trace record was killed: what it had not taken from the kernel yet is missing")
  }
}
