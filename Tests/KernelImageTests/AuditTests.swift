import KernelImage
import Ptrauth
import Testing

@Suite("Audit of the key switch")
struct AuditTests {
  @Test(
    "nothing fails in an unmodified kernel, and all of it is judged",
    arguments: RecordedKernel.present)
  func unmodified(kernel: RecordedKernel) throws {
    let audit = try kernel.open().audit()
    #expect(audit.failures.isEmpty, "\(audit.failures)")
    #expect(audit.verdict == .pass)
    for question in CodeCheck.Question.allCases {
      #expect(audit.checks.contains { $0.question == question }, "\(question)")
    }
    // From 5.9 on there are two copies, each with its own answers.
    let saves = audit.checks.filter { $0.question == .keySet && $0.outcome == .pass }
    // And EL2's own keys, saved, loaded and restored, from 6.5 on.
    #expect(saves.count == (kernel == .v7 ? 3 : kernel == .debian61 ? 6 : 9))
    #expect(audit.sites.allSatisfy { $0.user != .unknown }, "\(audit.sites)")
    #expect(
      audit.checks.contains { $0.question == .preemption && $0.outcome == .note } == (kernel == .v7)
    )
  }

  /// reference-model.md counts 130 and 156 accesses in the Debian images of this series.
  @Test(
    "every access is found, and those of the guest switch are ten and twenty",
    arguments: RecordedKernel.present)
  func inventory(kernel: RecordedKernel) throws {
    let sites = try kernel.open().audit().sites
    let count = sites.reduce(0) { $0 + $1.reads.count + $1.writes.count }
    switch kernel {
    case .v7: #expect(count == 58)
    case .debian61: #expect(count == 130)
    case .debian612: #expect(count == 156)
    }
    for site in sites where site.user == .guestSwitch {
      #expect(site.reads.count == 10 && site.writes.count == 20)
      #expect(Set(site.reads).count == 10 && Set(site.writes).count == 10)
    }
  }

  @Test(
    "each planted fault changes one answer, and no other",
    arguments: [(RecordedKernel.v7, ""), (.debian61, "__kvm_nvhe_"), (.debian612, "")].filter {
      RecordedKernel.present.contains($0.0)
    })
  func planted(recorded: RecordedKernel, prefix: String) throws {
    let kernel = try PatchedKernel(recorded)
    // The walk through 6.12's kvm_arch_vcpu_load takes seconds in a debug build: some of them there.
    let faults = guestSwitchFaults.enumerated().filter { index, _ in
      recorded != .debian612 || index % 4 == 1
    }
    for (_, fault) in faults {
      let (address, words) = try kernel.words(from: prefix + fault.place, count: 100)
      let changes = fault.change(words)
      #expect(!changes.isEmpty)
      var placed: [UInt64: UInt32] = [:]
      for (index, word) in changes {
        #expect(words[index] != word, "\(fault.testDescription)")
        placed[address + UInt64(index) * 4] = word
      }
      try kernel.audit(with: placed) { image in
        let failures = try image.audit().failures
        let found = failures.map { "\($0.question.rawValue) \($0.rule?.id ?? "-")" }
        #expect(
          Set(found) == ["\(fault.question.rawValue) \(fault.rule)"],
          "\(recorded) \(prefix)\(fault.testDescription): \(failures.map { ($0.place, $0.statement) })"
        )
        let isNVHE = failures.allSatisfy { $0.place.contains("(nVHE)") }
        #expect(isNVHE == !prefix.isEmpty)
      }
    }
  }

  /// shadow-not-live and named-labels are facts of v7's design, and no faults of a build. What the guard costs is
  /// noted of every kernel (CodeExerciserTests).
  @Test("what v7 does by design is noted, each by its rule", arguments: RecordedKernel.present)
  func notes(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let notes = try image.audit().checks.filter {
      $0.outcome == .note && $0.rule?.id != "guard-cost"
    }
    let rules = notes.compactMap { $0.rule?.id }.sorted()
    guard kernel == .v7 else {
      #expect(rules.isEmpty)
      return
    }
    #expect(rules == ["named-labels", "preemptible-host-save", "shadow-not-live"])
    // By the symbol table and the disassembly of somebody else.
    let symbols = try run("llvm-nm", [kernel.plainPath()])
    let place = notes.first { $0.rule?.id == "named-labels" }?.place
    #expect(place == "skip_switch_to_guest, skip_switch_to_host")
    for label in place?.split(separator: ", ") ?? [] {
      #expect(symbols.contains(" t \(label)\n"), "\(label)")
    }
    let code = try run(
      "llvm-objdump",
      ["-d", "--no-show-raw-insn", "--disassemble-symbols=__guest_enter", kernel.plainPath()])
    #expect(!code.lowercased().contains("hcr_el2"), "the guard reads no register")
  }

  @Test("a kernel that lost its alternatives cannot be judged: no path is known")
  func withoutAlternatives() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/vmlinux"
    // The section under another name: objcopy takes none away that relocations point to.
    let bytes = try readBytes(RecordedKernel.debian61.plainPath())
    let name = Array(".altinstructions\0".utf8)
    let places = bytes.indices.dropLast(name.count).filter {
      bytes[$0] == name[0] && bytes[$0..<$0 + name.count].elementsEqual(name)
    }
    #expect(places.count == 1)
    var renamed = bytes
    renamed[try #require(places.first) + 1] = UInt8(ascii: "z")
    try write(renamed, to: path)
    let audit = try KernelImage(path: path).audit()
    #expect(audit.failures.isEmpty, "\(audit.failures)")
    #expect(audit.verdict == .cannotJudge)
  }

  @Test("the kernel without a symbol table, and one without KVM, are refused in words")
  func refusals() throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(
      source: "void kvm_arch_vcpu_load(void) {}", flags: [], in: scratch.path)
    func code(_ path: String) throws -> KernelImageError.Code? {
      let image = try KernelImage(path: path)
      do throws(KernelImageError) {
        _ = try image.audit()
        return nil
      } catch {
        return error.code
      }
    }
    #expect(try code(path) == .noKVM)
    try run("llvm-objcopy", ["--strip-all", path, scratch.path + "/stripped"])
    #expect(try code(scratch.path + "/stripped") == .noSymbols)
  }

  /// Distributions keep debug information in files of its own, which have all symbols and types.
  @Test("of a file without code nothing is said about code")
  func debugInformationAlone() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/vmlinux.debug"
    try run("llvm-objcopy", ["--only-keep-debug", RecordedKernel.v7.plainPath(), path])
    let image = try KernelImage(path: path)
    #expect(image.hasDWARF && !image.addresses(of: "__guest_enter").isEmpty)
    #expect(KernelPointerAuth.isUsed(by: image) == nil)
    #expect(GuestSwitchCode(of: image) == nil)
    do throws(KernelImageError) {
      let audit = try image.audit()
      Issue.record("\(audit.failures)")
    } catch {
      #expect(error.code == .noCode)
    }
  }
}
