import Glibc
import Synchronization

/// The files this process reads, known by what they are and not by their names: no output may replace one.
public enum InputFiles {
  struct Identity: Hashable {
    var device: UInt
    var inode: UInt

    init(_ status: stat) {
      device = UInt(status.st_dev)
      inode = UInt(status.st_ino)
    }
  }

  private static let known = Mutex<Set<Identity>>([])

  /// - Parameter descriptor: a file that is open for reading.
  public static func note(_ descriptor: Int32) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    let identity = Identity(status)
    known.withLock { _ = $0.insert(identity) }
  }

  static func contains(_ status: stat) -> Bool {
    let identity = Identity(status)
    return known.withLock { $0.contains(identity) }
  }
}
