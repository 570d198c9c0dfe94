import Bytes

/// HEADER_BUILD_ID: one `struct perf_record_header_build_id` per file of the recorded machine:
/// header (8 bytes), s32 pid, u8 build_id[24], file name.
package enum BuildIDTable {
  /// The build-id of the recorded kernel itself, nil when the table does not have it.
  package static func kernel(in table: RawSpan, isSwapped: Bool) -> [UInt8]? {
    var offset = 0
    while let misc = table.u16(at: offset + 4, swapped: isSwapped),
      let size = table.u16(at: offset + 6, swapped: isSwapped),
      let entry = table.slice(at: offset, count: Int(size)), size > 36
    {
      offset += Int(size)
      guard misc & RecordHeader.cpuModeMask == RecordHeader.cpuModeKernel else { continue }
      let name = entry.text(at: 36)
      if name.hasPrefix("nel.kallsyms]") || name.hasPrefix("nel.vmlinux") {
        // Old perf wrote no pid (perf_header__read_build_ids_abi_quirk).
        return entry.slice(at: 8, count: 20)?.copied()
      }
      guard isKernel(name) else { continue }
      var length = 20
      if misc & RecordHeader.buildIDSize != 0, let said = entry.u8(at: 12 + 20) {
        length = min(20, Int(said))
      }
      let id = entry.slice(at: 12, count: length)?.copied()
      if let id, id.contains(where: { $0 != 0 }) { return id }
    }
    return nil
  }

  private static func isKernel(_ name: String) -> Bool {
    if name.hasPrefix("[kernel.kallsyms]") || name.hasPrefix("[kernel.vmlinux]") { return true }
    let file = name.split(separator: "/").last ?? ""
    return file == "vmlinux" || file.hasPrefix("vmlinux-")
  }
}
