private import CLinux
import Glibc

/// The files this process reads, known by what they are and not by their names: no output may replace one.
public enum InputFiles {
  struct Identity: Hashable {
    var device: UInt
    var inode: UInt
    /// A number of a file that is gone is soon another's.
    var birth: Int64

    init(_ status: stat, birth: Int64) {
      device = UInt(status.st_dev)
      inode = UInt(status.st_ino)
      self.birth = birth
    }
  }

  private static let known = SharedValue<Set<Identity>>([])

  /// - Parameter descriptor: a file that is open for reading.
  public static func note(_ descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    let identity = Identity(status, birth: birth_time_of_open(descriptor))
    known.withLock { _ = $0.insert(identity) }
  }

  /// - Parameter status: of what `path` leads to.
  static func contains(_ path: String, _ status: stat) -> Bool {
    let identity = unsafe Identity(status, birth: birth_time_of_path(path))
    return known.withLock { $0.contains(identity) }
  }
}
