import KernelImage
import Testing

@Suite("Symbols")
struct SymbolTests {
  @Test("functions are those of nm", arguments: RecordedKernel.present)
  func functions(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let table = try NmOracle(path: kernel.plainPath())
    let functions = table.symbols.filter { $0.type == "FUNC" && $0.size > 0 }
    #expect(functions.count > 5000)
    for sample in stride(from: 0, to: functions.count, by: functions.count / 400) {
      let middle = functions[sample].address + functions[sample].size / 2 & ~3
      for address in [functions[sample].address, middle] {
        let holders = functions.filter { $0.address <= address && address - $0.address < $0.size }
        let start = try #require(holders.map(\.address).max())
        let innermost = holders.filter { $0.address == start }
        let found = try #require(image.function(at: address))
        let same = try #require(innermost.first { $0.name == found.name }, "\(found)")
        #expect(found.address == start && found.size == same.size)
        #expect(found.offset == address - start)
        if innermost.contains(where: \.isGlobal) { #expect(same.isGlobal, "\(found)") }
      }
    }
  }

  @Test("addresses by name are those of nm", arguments: RecordedKernel.present)
  func addresses(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let table = try NmOracle(path: kernel.plainPath())
    let byName = Dictionary(grouping: table.symbols, by: \.name)
    let repeated = byName.filter { $0.value.count > 1 }.map(\.key).sorted().prefix(20)
    let sampled = byName.keys.sorted().enumerated().filter { $0.offset % 2000 == 0 }.map(\.element)
    let known = ["kvm_arch_vcpu_load", "kvm_hyp_ctxt", "__guest_exit", "ptrauth_keys_install_user"]
    #expect(repeated.count == 20)
    for name in repeated + sampled + known {
      #expect(
        image.addresses(of: name) == Set(byName[name, default: []].map(\.address)).sorted(),
        "\(name)")
    }
    #expect(image.addresses(of: "ptrauth_keys_install_user").count == 2)
    #expect(image.addresses(of: "no_such_symbol").isEmpty && image.addresses(of: "").isEmpty)
  }

  @Test("what compilers split from a function is found with it", arguments: RecordedKernel.present)
  func parts(kernel: RecordedKernel) throws {
    let symbols = try #require(try kernel.open().symbols)
    let names = try NmOracle(path: kernel.plainPath()).symbols.filter { $0.type == "FUNC" }
      .map(\.name)
    let split = names.filter { $0.contains(".") }
    let sampled = stride(from: 0, to: split.count, by: 1 + split.count / 20).map { split[$0] }
    #expect(sampled.count > 5)
    let stems = sampled.compactMap { $0.split(separator: ".").first.map(String.init) }
    for name in sampled + stems + ["kvm_arch_vcpu_load", "no_such_symbol", "", "."] {
      #expect(
        symbols.functions(called: name).map(\.name).sorted()
          == names.filter { $0 == name || $0.hasPrefix(name + ".") }.sorted(), "\(name)")
    }
  }

  @Test("interior labels split no function", arguments: RecordedKernel.present)
  func labels(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let table = try NmOracle(path: kernel.plainPath())
    let enter = try #require(table.symbols.first { $0.name == "__guest_enter" })
    let inside = table.symbols.filter {
      $0.type == "NOTYPE" && $0.address > enter.address && $0.address - enter.address < enter.size
    }
    #expect(inside.contains { $0.name == "__guest_exit" })
    for label in inside {
      #expect(image.function(at: label.address)?.name == "__guest_enter")
      let names = inside.filter { $0.address == label.address }.map(\.name)
      #expect(names.contains(try #require(image.label(at: label.address))))
    }
    #expect(image.label(at: enter.address) == nil)
    #expect(image.function(at: enter.address + enter.size - 4)?.name == "__guest_enter")
    #expect(image.function(at: enter.address + enter.size)?.name != "__guest_enter")
    let skip = image.addresses(of: "skip_switch_to_guest")
    #expect(skip.isEmpty == (kernel != .v7))
    for address in skip {
      #expect(image.label(at: address + 4) == "skip_switch_to_guest")
      #expect(image.label(at: address - 4) == nil)
    }
    #expect(image.function(at: 0) == nil && image.function(at: .max) == nil)
    #expect(image.label(at: 0) == nil && image.label(at: .max) == nil)
  }

  @Test("source lines are those of eu-addr2line", arguments: RecordedKernel.present)
  func sourceLines(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let names = [
      "kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "handle_exit", "kvm_handle_ptrauth",
      "__guest_enter",
      "kvm_arch_vcpu_ioctl_run", "kvm_reset_vcpu", "kvm_inject_undefined", "kvm_vgic_flush_hwstate",
    ]
    var addresses: [UInt64] = []
    for name in names {
      let start = try #require(image.addresses(of: name).first)
      let size = try #require(image.function(at: start)).size
      addresses += stride(from: start, to: start + size, by: Int(max(4, size / 8 & ~3)))
    }
    let lines = try run(
      "eu-addr2line", ["-e", kernel.plainPath()] + addresses.map { "0x" + String($0, radix: 16) }
    ).split(separator: "\n")
    #expect(lines.count == addresses.count)
    for (address, text) in zip(addresses, lines) {
      let location = try #require(image.sourceLocation(of: address), "\(text)")
      let parts = text.split(separator: ":")
      #expect(String(location.line) == parts[1], "\(text)")
      // The oracle keeps "..": of "hyp/vhe/../entry.S" the last component must agree at least.
      let plain = parts[0].replacing("/./", with: "/")
      #expect(location.file.split(separator: "/").last == plain.split(separator: "/").last)
      #expect(plain.contains("/../") || plain.hasSuffix("/" + location.file), "\(text)")
      #expect(
        location.file.hasPrefix("arch/arm64/") || location.file.hasPrefix("include/")
          || location.file.hasPrefix("virt/kvm/"), "\(location)")
    }
    #expect(image.sourceLocation(of: 0) == nil)
    #expect(image.sourceLocation(of: .max) == nil)
    let enter = try #require(image.addresses(of: "__guest_enter").first)
    #expect(image.sourceLocation(of: enter)?.file == "arch/arm64/kvm/hyp/entry.S")
  }

  @Test("code is what objdump shows", arguments: RecordedKernel.present)
  func code(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let start = try #require(image.addresses(of: "__guest_enter").first)
    let size = try #require(image.function(at: start)).size
    let text = try run(
      "llvm-objdump",
      [
        "-d", "--start-address=\(start)", "--stop-address=\(start + size)", kernel.plainPath(),
      ])
    // "ffff80000805fa70: d53c1105     mrs x5, HCR_EL2"; before LLVM 16 bytes: "05 11 3c d5".
    let words = text.split(separator: "\n").compactMap { line -> UInt32? in
      let fields = line.split(whereSeparator: { " \t".contains($0) })
      guard fields.count > 2, fields[0].hasSuffix(":") else { return nil }
      if fields[1].count == 8 { return UInt32(fields[1], radix: 16) }
      guard fields.count > 5, fields[1].count == 2 else { return nil }
      return UInt32(fields[1...4].reversed().joined(), radix: 16)
    }
    #expect(words.count == Int(size / 4))
    #expect(image.code(at: start, count: words.count) == words)
    #expect(image.code(at: start, count: 0) == [])
    #expect(image.code(at: start, count: -1) == nil)
    #expect(image.code(at: start + 1, count: 1) == nil)
    #expect(image.code(at: 0, count: 1) == nil)
    #expect(image.code(at: start, count: .max) == nil)
    #expect(image.code(at: .max - 3, count: 1) == nil)
  }
}

/// The symbol table as `nm -f sysv` prints it: "name |value |class |type |size |line |section".
private struct NmOracle {
  struct Symbol {
    let name: String
    let address: UInt64
    let size: UInt64
    let type: Substring
    let isGlobal: Bool
  }

  var symbols: [Symbol] = []

  init(path: String) throws {
    for line in try run("nm", ["-n", "-f", "sysv", path]).split(separator: "\n") {
      let fields = line.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.split(separator: " ").first ?? ""
      }
      guard fields.count >= 7, let address = UInt64(fields[1], radix: 16), !fields[0].hasPrefix("$")
      else { continue }
      symbols.append(
        Symbol(
          name: String(fields[0]), address: address, size: UInt64(fields[4], radix: 16) ?? 0,
          type: fields[3], isGlobal: fields[2].first?.isUppercase == true && fields[2] != "W"))
    }
  }
}
