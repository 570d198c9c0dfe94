import Bytes
import Ptrauth

/// Instructions in the words of llvm-objdump.
///
/// It is given an ELF file of just these instructions: that takes milliseconds where a vmlinux takes seconds, and
/// a compressed vmlinux needs no unpacking.
struct Disassembly {
  private var texts: [UInt64: String] = [:]

  /// Nil if the program cannot be run.
  init?(_ lines: [CodeLine], objdump: String) {
    var words: [UInt64: UInt32] = [:]
    for line in lines { words[line.address] = line.word }
    let addresses = words.keys.sorted()
    guard !addresses.isEmpty else { return }
    let file = Self.elf(addresses.map { ($0, words[$0] ?? 0) })
    guard
      let output = ChildProcess.output(
        of: objdump,
        ["-d", "--no-show-raw-insn", "--mattr=+v9a,+pauth,+mte", "/dev/fd/3"], input: file)
    else { return nil }
    for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
      let halves = line.split(separator: ":", maxSplits: 1)
      guard halves.count == 2,
        let address = UInt64(halves[0].drop(while: { $0 == " " }), radix: 16)
      else { continue }
      let text = halves[1].split(whereSeparator: { $0 == "\t" || $0 == " " }).joined(separator: " ")
      // Labels of the sections we made up say nothing.
      texts[address] = text.split(separator: "<").first.map { String($0).trimmed } ?? text
    }
  }

  func adding(to audit: CodeAudit) -> CodeAudit {
    var audit = audit
    for check in audit.checks.indices {
      for line in audit.checks[check].lines.indices {
        audit.checks[check].lines[line].text = texts[audit.checks[check].lines[line].address]
      }
    }
    return audit
  }

  /// A linked ELF file for AArch64 whose sections are the runs of consecutive instructions.
  private static func elf(_ code: [(address: UInt64, word: UInt32)]) -> [UInt8] {
    var runs: [(address: UInt64, words: [UInt32])] = []
    for (address, word) in code {
      if let last = runs.last, last.address + UInt64(last.words.count) * 4 == address {
        runs[runs.count - 1].words.append(word)
      } else {
        runs.append((address, [word]))
      }
    }
    var bytes: [UInt8] = []
    func put(_ value: UInt64, _ count: Int) {
      for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
    }
    let names: [UInt8] = [0] + Array(".text".utf8) + [0] + Array(".shstrtab".utf8) + [0]
    let codeStart = 64
    let codeBytes = runs.reduce(0) { $0 + $1.words.count * 4 }
    let namesStart = codeStart + codeBytes
    let tableStart = (namesStart + names.count + 7) / 8 * 8
    bytes += [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    // ET_EXEC, EM_AARCH64, version; entry, program headers, section headers, flags, sizes and counts.
    put(2, 2)
    put(183, 2)
    put(1, 4)
    put(0, 8)
    put(0, 8)
    put(UInt64(tableStart), 8)
    put(0, 4)
    put(64, 2)
    put(0, 2)
    put(0, 2)
    put(64, 2)
    put(UInt64(runs.count + 2), 2)
    put(UInt64(runs.count + 1), 2)
    for run in runs { for word in run.words { put(UInt64(word), 4) } }
    bytes += names
    bytes += [UInt8](repeating: 0, count: tableStart - bytes.count)
    func section(
      name: UInt64, type: UInt64, flags: UInt64, address: UInt64, offset: Int, size: Int
    ) {
      put(name, 4)
      put(type, 4)
      put(flags, 8)
      put(address, 8)
      put(UInt64(offset), 8)
      put(UInt64(size), 8)
      put(0, 4)
      put(0, 4)
      put(4, 8)
      put(0, 8)
    }
    section(name: 0, type: 0, flags: 0, address: 0, offset: 0, size: 0)
    var offset = codeStart
    for run in runs {
      // SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR.
      section(
        name: 1, type: 1, flags: 6, address: run.address, offset: offset, size: run.words.count * 4)
      offset += run.words.count * 4
    }
    section(name: 7, type: 3, flags: 0, address: 0, offset: namesStart, size: names.count)
    return bytes
  }
}

extension String {
  fileprivate var trimmed: String {
    var text = Substring(self)
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
