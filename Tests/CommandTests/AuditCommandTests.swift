import Foundation
import Testing

/// `audit` as people and scripts run it.
@Suite("The audit command")
struct AuditCommandTests {
  private let folder: String

  init() {
    folder = "/tmp/ptrauth-trace-audit-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    unsafe mkdir(folder, 0o700)
  }

  private func remove() { _ = try? Program.run("rm", ["-rf", folder]) }

  private func audit(_ arguments: [String]) throws -> Program {
    try Program.run(Program.command, ["audit"] + arguments)
  }

  private func kernel(_ name: String) throws -> String {
    let path = folder + "/" + name
    let run = try Program.run(
      "sh", ["-c", "exec zstd -qdc < traces/\(name)/vmlinux.slim.zst > \(path)"])
    try #require(run.code == 0)
    return path
  }

  private func json(_ arguments: [String]) throws -> JSON {
    try JSON(audit(arguments + ["--format", "json"]).output)
  }

  @Test(
    "a sound kernel passes: every question is answered, in text and JSON",
    arguments: [
      ("v7-good", "v7"), ("deb-6.1-good", "5.16"),
    ])
  func passes(name: String, generation: String) throws {
    defer { remove() }
    let image = "traces/\(name)/vmlinux.slim.zst"
    let run = try audit([image])
    #expect(run.code == 0 && run.errors.isEmpty)
    #expect(run.output.hasPrefix("PASS: "))
    #expect(!run.output.contains("\nS1 ") && run.output.contains(" checks passed"))
    let all = try audit([image, "-v"]).output
    for number in 1...14 { #expect(all.contains("\nS\(number) "), "S\(number)") }
    #expect(!all.contains("FAIL") && !all.contains("  ?  "))
    let document = try json([image])
    #expect(document["verdict"].text == "pass")
    #expect(document["kernel"]["generation"].text == generation)
    #expect(Set(document["checks"].list.map { $0["id"].text ?? "" }).count == 17)
    // The guard and the switch, in somebody else's words.
    let texts = document["checks"].list.flatMap { $0["lines"].list.map { $0["text"].text ?? "" } }
    #expect(texts.contains { $0.hasPrefix("msr APGAKeyHi_EL1") })
    #expect(texts.contains("isb"))
    let words = try audit([image, "-v", "--objdump", "none"])
    #expect(words.code == 0 && words.output.contains(".inst 0x"))
    let none = try audit([image, "--objdump", "/nonexistent/objdump"])
    #expect(none.code == 0 && none.errors.contains("--objdump"))
  }

  /// As the file has it, 6.1 jumps over both halves: the branches become NOPs at boot.
  @Test("code that is unreachable in the file and patched in at boot is judged")
  func patchedAtBoot() throws {
    defer { remove() }
    let image = try kernel("deb-6.1-good")
    let lines = Tool.lines(
      "llvm-objdump -d --no-show-raw-insn --disassemble-symbols=__guest_enter \(image)")
    let guardRead = try #require(lines.firstIndex { $0.lowercased().contains("hcr_el2") })
    #expect(lines[guardRead - 1].split(separator: "\t").dropFirst().first == "b")
    let document = try json([image])
    let switches = document["checks"].list.filter { $0["id"].text == "S2" }
    #expect(switches.count == 6)
    #expect(switches.allSatisfy { $0["outcome"].text == "pass" && !$0["lines"].list.isEmpty })
    #expect(
      document["checks"].list.contains {
        $0["id"].text == "S4" && $0["statement"].text?.contains("the CPU has capability") == true
      })
  }

  @Test("a planted fault: its rule, its lines, and the exit code of each dialect")
  func fails() throws {
    defer { remove() }
    let image = try kernel("v7-good")
    // The isb behind MSR APGAKEYHI_EL1 becomes a NOP.
    var bytes = Corpus.bytes(image)
    var planted = 0
    for index in stride(from: 0, to: bytes.count - 8, by: 4)
    where bytes[index + 4..<index + 8].elementsEqual([0xdf, 0x3f, 0x03, 0xd5])
      && bytes[index] & 0xe0 == 0x20
      && bytes[index + 1..<index + 4].elementsEqual([0x23, 0x18, 0xd5])
    {
      bytes.replaceSubrange(index + 4..<index + 8, with: [0x1f, 0x20, 0x03, 0xd5])
      planted += 1
    }
    #expect(planted == 1)
    Corpus.write(bytes, to: image)
    let run = try audit([image])
    #expect(run.code == 1)
    #expect(run.output.hasPrefix("FAIL: 1 of "))
    #expect(run.output.contains("missing-isb"))
    #expect(run.output.contains("> 0x"), "the instruction is marked")
    #expect(run.output.contains("<__guest_exit+0x"))
    // What passed is counted, and comes last if it is asked for.
    #expect(!run.output.contains("  PASS  ") && run.output.contains("20 checks passed"))
    let all = try audit([image, "-v"]).output
    let (first, next) = (all.range(of: "\n  FAIL  "), all.range(of: "\n  PASS  "))
    #expect(try #require(first).upperBound < #require(next).lowerBound)
    #expect(all.range(of: "\n  FAIL  ", options: .backwards)?.lowerBound == first?.lowerBound)
    let check = try #require(
      try json([image])["checks"].list.first { $0["outcome"].text == "fail" })
    #expect(check["id"].text == "S5" && check["rule"].text == "missing-isb")
    #expect(check["severity"].text == "high")
    #expect(check["lines"].list.contains { $0["marked"].flag == true })
    for (dialect, code): (String, Int32) in [("standard", 1), ("bisect", 1), ("kselftest", 1)] {
      #expect(try audit([image, "--exit-code", dialect]).code == code)
    }
    #expect(try audit([image, "--fail-on", "critical"]).code == 0)
    #expect(try audit([image, "--fail-on", "none"]).code == 0)
  }

  @Test("BTF of another kernel is refused: by the vmlinux's own types, else by its code")
  func foreignTypes() throws {
    defer { remove() }
    let v7 = try kernel("v7-good")
    let debian = folder + "/deb-6.12"
    try #require(
      try Program.run("sh", ["-c", "xz -dc traces/kernel-code/deb-6.12.xz > \(debian)"]).code == 0)
    let (bare, btf) = (folder + "/bare", folder + "/btf")
    for arguments in [
      ["--dump-section=.BTF=\(btf)", debian, folder + "/other"],
      ["--strip-debug", "--remove-section=.BTF", v7, bare],
    ] {
      try #require(try Program.run("llvm-objcopy", arguments).code == 0)
    }
    for command in [
      ["audit", v7], ["probes", v7], ["analyze", "traces/v7-good/perf.data", "-k", v7],
    ] {
      let run = try Program.run(Program.command, command + ["--btf", btf])
      #expect(run.code == 2 && run.output.isEmpty, "\(command)")
      #expect(run.errors.contains("\(btf) is not the BTF of \(v7): kvm_vcpu."), "\(run.errors)")
    }
    for command in ["audit", "probes"] {
      let run = try Program.run(Program.command, [command, bare, "--btf", btf])
      #expect(run.code == 2 && run.output.isEmpty)
      #expect(
        run.errors.contains("its key switch has the guest's slots at vcpu+0x"), "\(run.errors)")
    }
    // The document is written whatever the exit code.
    let run = try audit([v7, "--btf", btf, "--format", "json"])
    #expect(run.code == 2)
    let document = try JSON(run.output)
    #expect(document["verdict"].text == "cannot judge")
    #expect(document["error"].text?.hasPrefix(btf) == true && document["checks"].list.isEmpty)
  }

  @Test(
    "a generation against the marks is an error everywhere, a name that does not exist is usage")
  func generation() throws {
    let image = "traces/deb-6.1-good/vmlinux.slim.zst"
    for command in [
      ["audit", image], ["probes", image], ["analyze", "traces/deb-6.1-good/perf.data"],
    ] {
      let wrong = try Program.run(Program.command, command + ["--generation", "5.8"])
      #expect(
        wrong.code == 2 && wrong.errors.contains("the marks of \(image) say 5.16"), "\(command)")
      #expect(wrong.output.isEmpty)
      let none = try Program.run(Program.command, command + ["--generation", "G9"])
      #expect(none.code == 64 && none.errors.contains("5.8, 5.9, 5.16"), "\(command)")
    }
    // What the marks cannot tell apart may be named.
    let own = try audit([image, "--generation", "6.6"])
    #expect(own.code == 0 && own.output.contains("6.5 (G5)"))
  }

  @Test("without struct offsets it cannot judge; --btf brings them; another kernel's is refused")
  func types() throws {
    defer { remove() }
    let image = try kernel("v7-good")
    let (bare, btf) = (folder + "/bare", folder + "/btf")
    for arguments in [
      ["--dump-section=.BTF=\(btf)", image, folder + "/other"],
      ["--strip-debug", "--remove-section=.BTF", image, bare],
    ] {
      try #require(try Program.run("llvm-objcopy", arguments).code == 0)
    }
    for (dialect, code): (String, Int32) in [("standard", 2), ("bisect", 125), ("kselftest", 4)] {
      #expect(try audit([bare, "--exit-code", dialect]).code == code)
    }
    #expect(try audit([bare]).output.hasPrefix("CANNOT JUDGE: "))
    let run = try audit([bare, "--btf", btf])
    #expect(run.code == 0)
    #expect(run.output.contains("from BTF, \(btf)"))
    #expect(try json([bare, "--btf", btf])["kernel"]["btf"].text == btf)
    // probes and analyze take it too.
    let probes = try Program.run(Program.command, ["probes", bare, "--btf", btf])
    let whole = try Program.run(Program.command, ["probes", image])
    func definitions(_ text: String) -> [Substring] {
      text.split(separator: "\n").filter { $0.hasPrefix("p:") }
    }
    #expect(probes.code == 0 && !definitions(whole.output).isEmpty)
    #expect(definitions(probes.output) == definitions(whole.output))
    let without = try Program.run(Program.command, ["probes", bare])
    #expect(without.code == 2 && without.errors.contains("neither BTF nor DWARF"))
    let recording = ["analyze", "-q", "traces/v7-good/perf.data", "--format", "json"]
    let analysis = try Program.run(Program.command, recording + ["-k", bare, "--btf", btf])
    #expect(analysis.code == 0)
    #expect(try JSON(analysis.output)["kernel"]["generation"].text == "v7")

    // As distributions keep it.
    for (tool, end) in [("xz", "xz"), ("gzip", "gz"), ("zstd -q", "zst")] {
      try #require(try Program.run("sh", ["-c", "\(tool) -k \(btf)"]).code == 0)
      #expect(try audit([bare, "--btf", btf + "." + end]).code == 0, "\(end)")
    }

    let wrong = folder + "/wrong"
    Corpus.write(Array("no BTF at all, but long enough for a header".utf8), to: wrong)
    for (path, word) in [(wrong, "is not BTF"), (folder + "/none", "cannot be opened")] {
      let run = try audit([bare, "--btf", path])
      #expect(run.code == 2 && run.output.isEmpty)
      #expect(run.errors.hasPrefix("ptrauth-trace: \(path) \(word)"), "\(run.errors)")
    }
  }

  @Test("--all-units compares all of DWARF, and says how much that was")
  func allUnits() throws {
    defer { remove() }
    let image = try kernel("deb-6.1-good")
    let run = try audit([image, "--all-units", "-v"])
    #expect(run.code == 0)
    #expect(run.output.contains("compile units define the structs used, and agree on all"))
    #expect(!(try audit([image, "-v"])).output.contains("compile units"))
    #expect(
      try Program.run(Program.command, ["probes", image, "--all-units", "-o", "/dev/null"]).code
        == 0)
    let bare = folder + "/bare"
    let strip = try Program.run("llvm-objcopy", ["--strip-debug", try kernel("v7-good"), bare])
    try #require(strip.code == 0)
    let none = try audit([bare, "--all-units"])
    #expect(none.code == 2 && none.errors.contains("has no DWARF"))
  }

  @Test("bad input: one sentence that names the file and says what to do, and exit code 2")
  func badInput() throws {
    defer { remove() }
    let image = try kernel("v7-good")
    let whole = Corpus.bytes(image)
    func file(_ name: String, _ bytes: [UInt8]) -> String {
      Corpus.write(bytes, to: folder + "/" + name)
      return folder + "/" + name
    }
    let stripped = folder + "/stripped"
    try #require(try Program.run("llvm-objcopy", ["--strip-all", image, stripped]).code == 0)
    // arm64's Image: 4 code bytes, then ARMd at 56; zboot's EFI header begins with MZ.
    var bootImage = [UInt8](repeating: 0, count: 4096)
    bootImage.replaceSubrange(0..<2, with: Array("MZ".utf8))
    bootImage.replaceSubrange(56..<60, with: [0x41, 0x52, 0x4d, 0x64])
    for (path, words) in [
      (file("empty", []), "empty"), (file("text", Array("hello, world\n".utf8)), "ELF"),
      (file("cut", Array(whole[..<(whole.count / 2)])), "cut"),
      (file("head", Array(whole[..<100])), "cut"),
      (Program.command, "not arm64"), (file("vmlinuz", bootImage), "vmlinux"),
      (file("vmlinuz.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), "gz"),
      (stripped, "symbol"), (folder, "is a directory"), (folder + "/none", "cannot be opened"),
      ("traces/v7-good/perf.data", "ELF"),
    ] {
      let run = try audit([path])
      #expect(run.code == 2 && run.output.isEmpty, "\(path): \(run.output.prefix(80))")
      let lines = run.errors.split(separator: "\n")
      #expect(lines.count == 1, "\(run.errors)")
      #expect(run.errors.hasPrefix("ptrauth-trace: \(path) "), "\(run.errors)")
      #expect(run.errors.contains(words), "\(run.errors)")
      #expect(try audit([path, "--exit-code", "bisect"]).code == 125)
      #expect(try audit([path, "--exit-code", "kselftest"]).code == 4)
    }
    #expect(try audit([]).code == 64)
    #expect(try audit([image, "--nonsense"]).code == 64)
  }
}

/// A JSON document, by member.
private struct JSON {
  private let value: Any?

  init(_ text: String) throws { value = try JSONSerialization.jsonObject(with: Data(text.utf8)) }
  private init(_ value: Any?) { self.value = value }

  subscript(name: String) -> JSON { JSON((value as? [String: Any])?[name]) }
  var list: [JSON] { (value as? [Any])?.map { JSON($0) } ?? [] }
  var text: String? { value as? String }
  var flag: Bool? { value as? Bool }
}
