import Glibc
import Trace

extension Target {
  /// Pages of one pCPU, with formats that are right.
  static let ringBufferPage = Target(name: "ring-buffer-page") { bytes, scratch in
    RawFolder.make(in: scratch)
    scratch.put(bytes, as: "cpu0/trace_pipe_raw")
    replay(scratch.path)
  }

  /// The format of an event that one page holds; a NUL and header_page may follow.
  static let eventFormat = Target(name: "event-format") { bytes, scratch in
    RawFolder.make(in: scratch)
    let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count > 1 { scratch.put(Array(parts[1]), as: "events/header_page") }
    scratch.put(Array(parts[0]), as: "events/kvm/kvm_entry/format")
    scratch.put(RawFolder.page, as: "cpu0/trace_pipe_raw")
    replay(scratch.path)
  }
}

/// What a shell copies out of tracefs.
private enum RawFolder {
  static func make(in scratch: Scratch) {
    for folder in [
      "cpu0", "events", "events/kvm", "events/kvm/kvm_entry", "events/kvm/kvm_exit",
    ] { scratch.makeFolder(folder) }
    scratch.put(Array(header), as: "events/header_page")
    scratch.put(Array(format("kvm_entry", 100, "")), as: "events/kvm/kvm_entry/format")
    scratch.put(
      Array(
        format(
          "kvm_exit", 101,
          "\tfield:unsigned int esr_ec;\toffset:16;\tsize:4;\tsigned:0;\n"
            + "\tfield:unsigned int ret;\toffset:20;\tsize:4;\tsigned:0;\n")),
      as: "events/kvm/kvm_exit/format")
  }

  private static let header =
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    + "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    + "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n"

  private static func format(_ name: String, _ number: Int, _ fields: String) -> String {
    "name: \(name)\nID: \(number)\nformat:\n"
      + "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
      + "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
      + "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
      + "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
      + "\tfield:unsigned long vcpu_pc;\toffset:8;\tsize:8;\tsigned:0;\n\(fields)\n"
      + "print fmt: \"\"\n"
  }

  /// Two events of 16 bytes of number 100, thread 7, 5 ns apart.
  static let page: [UInt8] = {
    let event: [UInt8] =
      [0xa4, 0, 0, 0, 100, 0, 0, 0, 7, 0, 0, 0] + [0, 0x10, 0, 0, 0, 0, 0xff, 0xff]
    let content: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0] + event + event
    return content + [UInt8](repeating: 0, count: 4096 - content.count)
  }()
}
