import Glibc

/// Looks for the vmlinux of a recording where perf, gdb and the distributions put it.
///
/// With a build-id only an image of that build-id is returned; files that had another are listed, so that
/// a report can name them. Without one, what lies beside the recording is returned as unverified.
public struct KernelImageFinder {
  /// In front of every absolute place: "" for this system, another directory for a sysroot.
  public let root: String
  /// debuginfod is not asked, whatever DEBUGINFOD_URLS says.
  public let isOffline: Bool
  /// HOME, PATH, PERF_BUILDID_DIR and DEBUGINFOD_URLS are read from it.
  public let environment: [String: String]

  public init(
    root: String = "", environment: [String: String]? = nil, isOffline: Bool = false
  ) {
    self.root = root
    self.isOffline = isOffline
    self.environment = environment ?? KernelImageFinder.processEnvironment()
  }

  /// Bytes of a build-id that is sent to a server, in hexadecimal: those of ld's `--build-id` are 8 to 20, mold makes 32. What a
  /// stranger's recording has in its place stays here.
  private static let buildIDSizes = 8...32

  /// Tries each place in turn and stops at the first image that fits.
  ///
  /// - Parameters:
  ///   - explicitPath: what the user named; tried first.
  ///   - buildID: of the recorded kernel, nil or empty if the recording does not say.
  ///   - osRelease: `uname -r` of the recorded kernel.
  ///   - recordingDirectory: where the recording lies.
  public func find(
    explicitPath: String? = nil, buildID: [UInt8]? = nil, osRelease: String? = nil,
    recordingDirectory: String? = nil
  ) -> KernelImageSearch {
    var search = KernelImageSearch()
    let wanted = buildID.flatMap { $0.isEmpty ? nil : $0 }
    let places = KernelImagePlaces(root: root, environment: environment)

    if let explicitPath, search.tries(explicitPath, wanted: wanted, orElseUnverified: true) {
      return search
    }
    for path in recordingDirectory.map(places.beside) ?? []
    where search.tries(path, wanted: wanted, orElseUnverified: true) {
      return search
    }
    guard let wanted else { return search }
    for path in places.ofBuildID(wanted) + places.ofRelease(osRelease)
    where access(path) {
      if let folder = places.folderLeft(by: path) {
        search.refuses(path, leaving: folder)
      } else if search.tries(path, wanted: wanted, orElseUnverified: false) {
        return search
      }
    }
    if !isOffline, environment["DEBUGINFOD_URLS"].map({ !$0.isEmpty }) ?? false,
      Self.buildIDSizes.contains(wanted.count)
    {
      search.asks(Debuginfod(searchPath: environment["PATH"] ?? ""), wanted)
    }
    return search
  }

  private func access(_ path: String) -> Bool { unsafe Glibc.access(path, F_OK) == 0 }

  private static func processEnvironment() -> [String: String] {
    var environment: [String: String] = [:]
    for name in ["HOME", "PATH", "PERF_BUILDID_DIR", "DEBUGINFOD_URLS"] {
      if let value = unsafe getenv(name) { environment[name] = unsafe String(cString: value) }
    }
    return environment
  }
}
