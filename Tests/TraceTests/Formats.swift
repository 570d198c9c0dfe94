/// Format files as tracefs has them.
enum Formats {
  /// header_page, which perf 6.12 does not do without, and an empty header_event, as recordings hold them.
  static func headers(longSize: Int) -> [UInt8] {
    let text =
      "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
      + "\tfield: local_t commit;\toffset:8;\tsize:\(longSize);\tsigned:1;\n"
      + "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
      + "\tfield: char data;\toffset:\(8 + longSize);\tsize:4080;\tsigned:1;\n"
    var part = ByteWriter()
    part.text("header_page")
    part.add(UInt64(text.utf8.count))
    part.add(Array(text.utf8))
    part.text("header_event")
    part.add(UInt64(0))
    return part.bytes
  }

  static let entryID: UInt16 = 55
  static let exitID: UInt16 = 54
  static let probeID: UInt16 = 1400

  private static func text(_ name: String, _ id: UInt16, _ fields: [String]) -> String {
    "name: \(name)\nID: \(id)\nformat:\n"
      + "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
      + "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
      + "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
      + "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
      + fields.map { "\tfield:\($0)\n" }.joined() + "\nprint fmt: \"x\"\n"
  }

  static let entry = text(
    "kvm_entry", entryID, ["unsigned long vcpu_pc;\toffset:8;\tsize:8;\tsigned:0;"])
  static let exit = text(
    "kvm_exit", exitID,
    [
      "int ret;\toffset:8;\tsize:4;\tsigned:1;",
      "unsigned int esr_ec;\toffset:12;\tsize:4;\tsigned:0;",
      "unsigned long vcpu_pc;\toffset:16;\tsize:8;\tsigned:0;",
    ])
  static let probe = text(
    "p1", probeID,
    [
      "unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;",
      "s16 vcpu_id;\toffset:16;\tsize:2;\tsigned:1;",
      "u8 iflags;\toffset:18;\tsize:1;\tsigned:0;",
      "s32 cpu;\toffset:19;\tsize:4;\tsigned:1;",
      "u64 hcr_el2;\toffset:23;\tsize:8;\tsigned:0;",
    ])

  static func entryRaw(pc: UInt64, type: UInt16 = entryID, thread: UInt32 = 7) -> [UInt8] {
    var raw = ByteWriter()
    raw.add(type)
    raw.add([0, 0])
    raw.add(thread)
    raw.add(pc)
    return raw.bytes
  }
}
