/// What a search for a vmlinux came to.
public struct KernelImageSearch {
  public enum Verification: Sendable, Equatable {
    /// The build-id is the one asked for.
    case buildID
    /// No build-id was known to compare with.
    case unverifiedByBuildID
  }

  /// A file that is a kernel, but not the recorded one.
  public struct Mismatch: Sendable, Equatable {
    public let path: String
    /// Nil: the file has none.
    public let buildID: [UInt8]?
  }

  /// Open, and ready to be asked; nil if nothing fitted.
  public private(set) var image: KernelImage?
  public private(set) var verification: Verification?
  /// Candidates with another build-id, in the order tried.
  public private(set) var mismatches: [Mismatch] = []
  /// Candidates that exist and could not be used, in the order tried.
  public private(set) var failures: [KernelImageError] = []

  /// A candidate that is not opened.
  mutating func refuses(_ path: String, leaving folder: String) {
    failures.append(
      KernelImageError(
        .leadsOut, path,
        "is a symbolic link that leads out of \(folder), so it is not followed; pass the vmlinux with -k"
      ))
  }

  /// Takes what debuginfod has.
  mutating func asks(_ debuginfod: Debuginfod, _ wanted: [UInt8]) {
    do throws(KernelImageError) {
      _ = tries(try debuginfod.file(wanted), wanted: wanted, orElseUnverified: false)
    } catch {
      failures.append(error)
    }
  }

  /// Opens a candidate and takes it if it fits. A file is opened, and unpacked, once.
  mutating func tries(_ path: String, wanted: [UInt8]?, orElseUnverified: Bool) -> Bool {
    guard !mismatches.contains(where: { $0.path == path }),
      !failures.contains(where: { $0.path == path })
    else { return false }
    let opened: KernelImage
    do throws(KernelImageError) {
      opened = try KernelImage(path: path)
    } catch {
      failures.append(error)
      return false
    }
    if let wanted {
      guard opened.buildID == wanted else {
        mismatches.append(Mismatch(path: path, buildID: opened.buildID))
        return false
      }
      verification = .buildID
    } else {
      guard orElseUnverified else { return false }
      verification = .unverifiedByBuildID
    }
    image = opened
    return true
  }
}
