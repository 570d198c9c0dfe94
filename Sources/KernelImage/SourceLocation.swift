import CElfutils
import Glibc
private import Printing

/// A line of the kernel's source.
public struct SourceLocation: Sendable, Equatable, CustomStringConvertible {
  /// Relative to the root of the kernel tree if that could be told, `..` resolved:
  /// `arch/arm64/kvm/handle_exit.c`.
  public let file: String
  public let line: Int

  public var description: String { "\(file):\(line)" }
}

extension DebugInformation {
  /// The line of a link-time address, from the line table of the unit that covers it.
  func sourceLocation(of address: UInt64) -> SourceLocation? {
    guard let unit = unit(covering: address), mayReadLines(of: unit) else { return nil }
    return unit.withDie { die -> SourceLocation? in
      guard let line = unsafe dwarf_getsrc_die(die, address),
        let file = unsafe dwarf_linesrc(line, nil, nil)
      else { return nil }
      var number: CInt = 0
      guard unsafe dwarf_lineno(line, &number) == 0 else { return nil }
      return unsafe SourceLocation(
        file: SourcePath.relative(String(cString: file), to: directory(die)), line: Int(number))
    }
  }

  /// By .debug_aranges, and for what it leaves out by the units' own ranges.
  func unit(covering address: UInt64) -> DebugEntry? {
    if let unit = listedUnit(covering: address) { return unit }
    var index = 0
    var left = rangeLimit
    while left > 0, let unit = unit(index) {
      if covers(unit, address, &left) { return unit }
      index += 1
    }
    return nil
  }

  /// By .debug_aranges. (dwarf_addrdie goes on, since elfutils 0.191, through the ranges of all units, and keeps a copy
  /// of each: 30,000 units that share one list of 50,000 ranges took all memory.)
  private func listedUnit(covering address: UInt64) -> DebugEntry? {
    var (all, count, place) = unsafe (OpaquePointer?.none, 0, Dwarf_Off(0))
    guard unsafe dwarf_getaranges(handle, &all, &count) == 0,
      let range = unsafe dwarf_getarange_addr(all, address),
      unsafe dwarf_getarangeinfo(range, nil, nil, &place) == 0
    else { return nil }
    var die = unsafe Dwarf_Die()
    return unsafe dwarf_offdie(handle, place, &die) == nil ? nil : DebugEntry(die)
  }

  /// As dwarf_haspc, which does not count.
  /// - Parameter left: ranges that may still be looked at: all units of a file that lies can share one list.
  private func covers(_ unit: DebugEntry, _ address: UInt64, _ left: inout Int) -> Bool {
    unit.withDie { die in
      var (base, start, end): (Dwarf_Addr, Dwarf_Addr, Dwarf_Addr) = (0, 0, 0)
      var place = 0
      while left > 0 {
        left -= 1
        place = unsafe dwarf_ranges(die, place, &base, &start, &end)
        if place <= 0 { return false }
        if start <= address, address < end { return true }
      }
      return false
    }
  }
}

/// Paths as compilers write them, made relative to the kernel tree.
package enum SourcePath {
  /// `file` without the build directory in front.
  ///
  /// Debian builds in debian/build/... below the tree, so an absolute file name shares only the
  /// leading directories of the build directory: they are the root of the tree. Where it maps that root
  /// away (-ffile-prefix-map), the build directory is relative to it. The real-time kernel of 6.12 is
  /// built from a patched copy of the tree beside the build directory, debian/build/source_rt.
  package static func relative(_ file: String, to buildDirectory: String) -> String {
    let path = resolved(file)
    let build = resolved(buildDirectory)
    guard !build.isEmpty else { return joined(path) }
    let isBelow = path.starts(with: build)
    let rest = isBelow ? path[build.count...] : path[...]
    if build.first != "" {
      let parent = build.dropLast()
      let isBeside = !parent.isEmpty && rest.starts(with: parent)
      return joined(Array(isBeside ? rest.dropFirst(parent.count + 1) : rest))
    }
    if isBelow { return joined(Array(rest)) }
    guard path.first == "" else { return joined(path) }
    let common = zip(path, build).prefix { $0 == $1 }.count
    return common > 1 ? joined(Array(path[common...])) : joined(path)
  }

  /// The components of a path, `.` and `..` resolved; an absolute path begins with an empty one.
  private static func resolved(_ path: String) -> [Substring] {
    var components: [Substring] = path.hasPrefix("/") ? [""] : []
    for component in path.split(separator: "/") where component != "." {
      if component == "..", let last = components.last, last != "..", last != "" {
        components.removeLast()
      } else {
        components.append(component)
      }
    }
    return components
  }

  private static func joined(_ components: [Substring]) -> String {
    // A stranger's file has any name.
    ControlCharacters.escaped(components.joined(separator: "/"))
  }
}
