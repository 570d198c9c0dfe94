import Bytes
import Glibc

/// The paths where a vmlinux may lie, in the order to try them; not all exist.
struct KernelImagePlaces {
  let root: String
  let environment: [String: String]

  /// Names of a directory's kernel files beyond this many are not tried.
  private static let besideLimit = 32

  /// `vmlinux`, then `vmlinux*`, then `*.debug` in a directory, each in byte order.
  func beside(_ directory: String) -> [String] {
    let directory = directory.isEmpty ? "." : directory
    let names = entries(of: directory).sorted { Array($0.utf8).lexicographicallyPrecedes($1.utf8) }
    let kernels =
      names.filter { $0 == "vmlinux" }
      + names.filter { $0 != "vmlinux" && $0.hasPrefix("vmlinux") && !$0.hasSuffix(".debug") }
      + names.filter { $0.hasSuffix(".debug") }
    return kernels.prefix(Self.besideLimit).map { "\(directory)/\($0)" }
  }

  /// A recording's build-id led to `path`: nil, or the folder that a symbolic link there leads out of. Links of
  /// this system's own folders are its administrator's.
  func folderLeft(by path: String) -> String? {
    for folder in [perfCache, root.isEmpty ? nil : root].compactMap(\.self)
    where path.hasPrefix(folder + "/") && !Folder.isInside(path, folder) { return folder }
    return nil
  }

  /// perf's cache (`perf help buildid-cache`) and gdb's layout of separate debug files.
  func ofBuildID(_ buildID: [UInt8]) -> [String] {
    guard let first = buildID.first, buildID.count > 1 else { return [] }
    let head = hex(first, digits: 2)
    let tail = buildID.dropFirst().map { hex($0, digits: 2) }.joined()
    var paths: [String] = []
    if let cache = perfCache {
      paths += ["vmlinux", "elf", "debug"].map { "\(cache)/.build-id/\(head)/\(tail)/\($0)" }
      paths += ["vmlinux", "elf"].map { "\(cache)/[kernel.kallsyms]/\(head)\(tail)/\($0)" }
    }
    paths.append("\(root)/usr/lib/debug/.build-id/\(head)/\(tail).debug")
    return paths
  }

  func ofRelease(_ release: String?) -> [String] {
    // A release goes into paths: it must not lead out of them.
    guard let release, !release.isEmpty, !release.contains("/"), release != ".." else { return [] }
    return [
      "\(root)/usr/lib/debug/boot/vmlinux-\(release)",
      "\(root)/usr/lib/debug/lib/modules/\(release)/vmlinux",
      "\(root)/usr/lib/debug/usr/lib/modules/\(release)/vmlinux",
      "\(root)/boot/vmlinux-\(release)",
      "\(root)/lib/modules/\(release)/build/vmlinux",
    ]
  }

  private var perfCache: String? {
    if let directory = environment["PERF_BUILDID_DIR"], !directory.isEmpty {
      return root + directory
    }
    return environment["HOME"].map { "\(root)\($0)/.debug" }
  }

  private func entries(of directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
        unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      names.append(name)
    }
    return names
  }
}
