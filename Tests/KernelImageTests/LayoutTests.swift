import KernelImage
import Probing
import Testing

private let keys = ["APIA", "APIB", "APDA", "APDB", "APGA"].flatMap {
  ["\($0)KEYLO_EL1", "\($0)KEYHI_EL1"]
}

@Suite("Struct layouts")
struct LayoutTests {
  @Test(
    "every member of the KVM structs is where pahole puts it",
    arguments: RecordedKernel.present, PaholeOracle.Format.allCases)
  func members(kernel: RecordedKernel, format: PaholeOracle.Format) throws {
    let image = try kernel.open()
    let oracle = PaholeOracle(path: try kernel.plainPath(), format: format)
    for type in ["kvm_vcpu", "kvm_vcpu_arch", "kvm_cpu_context", "kvm_vcpu_fault_info", "kvm_run"] {
      let layout = try oracle.layout(of: type)
      #expect(layout.offsets.count >= 3, "pahole printed something else for \(type)")
      for source in [nil, .btf, .dwarf] as [TypeFormat?] {
        #expect(try image.size(of: type, from: source) == layout.size, "\(type)")
      }
      for (member, offset) in layout.offsets {
        let path = "\(type).\(member)"
        #expect(try image.offset(of: path) == offset, "\(path)")
        for source in TypeFormat.allCases {
          #expect(try image.offset(of: path, from: source) == offset, "\(path) from \(source)")
        }
      }
    }
  }

  /// What was asked is what the program asks: audit, probes and the marks of a generation leave their questions.
  @Test(
    "everything that is asked of a kernel's types has pahole's answer",
    arguments: RecordedKernel.present)
  func asked(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    _ = try image.audit()
    _ = try ProbePlan(image, keys: true)
    let oracle = PaholeOracle(path: try kernel.plainPath(), format: .dwarf)
    #expect(image.typeQuestions.count > 30)
    var walk = PaholeWalk(oracle)
    for question in image.typeQuestions {
      switch question {
      case .offset(let path):
        let expected = try walk.offset(of: path)
        for source in [nil, .btf, .dwarf] as [TypeFormat?] {
          #expect((try? image.offset(of: path, from: source)) == expected, "\(path)")
        }
      case .size(let type):
        // pahole prints no size of an enumeration; the compiler's is an int's.
        let size = try oracle.layout(of: type).size ?? (type.hasPrefix("enum ") ? 4 : nil)
        #expect(try image.size(of: type) == size, "\(type)")
      case .enumerator(let name, let enumeration):
        let values = try oracle.enumerators(of: try #require(enumeration))
        #expect(image.enumerator(name, in: enumeration) == values[name], "\(name)")
      }
    }
  }

  @Test(
    "every enumerator of vcpu_sysreg has pahole's value",
    arguments: RecordedKernel.present, PaholeOracle.Format.allCases)
  func enumerators(kernel: RecordedKernel, format: PaholeOracle.Format) throws {
    let image = try kernel.open()
    let oracle = PaholeOracle(path: try kernel.plainPath(), format: format)
    let values = try oracle.enumerators(of: "vcpu_sysreg")
    #expect(values.count > 50)
    for (name, value) in values {
      for source in [nil, .btf, .dwarf] as [TypeFormat?] {
        #expect(image.enumerator(name, in: "vcpu_sysreg", from: source) == value, "\(name)")
        #expect(image.enumerator(name, in: nil, from: source) == value, "\(name)")
      }
    }
    #expect(image.enumerator("APIAKEYLO_EL1", in: "no_such_enum") == nil)
    #expect(image.enumerator("NO_SUCH_REGISTER", in: "vcpu_sysreg") == nil)
  }

  @Test("paths through several structs add up", arguments: RecordedKernel.present)
  func paths(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let oracle = PaholeOracle(path: try kernel.plainPath(), format: .dwarf)
    let vcpu = try oracle.layout(of: "kvm_vcpu").offsets
    let arch = try oracle.layout(of: "kvm_vcpu_arch").offsets
    let context = try oracle.layout(of: "kvm_cpu_context").offsets
    let fault = try oracle.layout(of: "kvm_vcpu_fault_info").offsets
    let registers = try oracle.enumerators(of: "vcpu_sysreg")
    let start = try #require(vcpu["arch"])
    let guest = start + (try #require(arch["ctxt"]))
    let slots = try #require(context["sys_regs"])
    for key in keys {
      let slot = slots + 8 * UInt64(try #require(registers[key]))
      #expect(try image.offset(of: "kvm_cpu_context.sys_regs[\(key)]") == slot)
      #expect(try image.offset(of: "kvm_vcpu.arch.ctxt.sys_regs[\(key)]") == guest + slot)
      let number = try #require(registers[key])
      #expect(try image.offset(of: "kvm_vcpu.arch.ctxt.sys_regs[\(number)]") == guest + slot)
    }
    let esr = try #require(fault["esr_el2"])
    #expect(
      try image.offset(of: "kvm_vcpu.arch.fault.esr_el2") == start + #require(arch["fault"]) + esr)
    for member in ["hcr_el2", "host_cpu_context", "features", "cflags", "iflags", "sflags"] {
      let path = "kvm_vcpu.arch.\(member)"
      if let offset = arch[member] {
        #expect(try image.offset(of: path) == start + offset)
      } else {
        #expect(!image.hasMember(path))
      }
    }
    #expect(image.hasMember("kvm_cpu_context.hcr_el2") == (context["hcr_el2"] != nil))
    #expect(image.hasMember("kvm_cpu_context.hcr_el2") == (kernel == .v7))
  }

  @Test(
    "the offsets are those of the probes that made the recordings",
    .enabled(if: RecordedKernel.areDescribed, RecordedKernel.missing),
    arguments: RecordedKernel.present)
  func recordedOffsets(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    let offsets = try ProbeOffsets(kernel.text(of: "offsets"))
    let shadow = kernel == .v7 ? "kvm_vcpu.arch.ctxt.hcr_el2" : "kvm_vcpu.arch.hcr_el2"
    let keySlot = "sys_regs[APIAKEYLO_EL1]"
    #expect(try [image.offset(of: shadow)] == offsets["HCR"])
    #expect(try [image.offset(of: "kvm_vcpu.arch.ctxt.\(keySlot)")] == offsets["KEY"])
    #expect(try [image.offset(of: "kvm_vcpu.vcpu_id")] == offsets["VID"])
    #expect(try [image.offset(of: "kvm_vcpu.arch.fault.esr_el2")] == offsets["ESR"])
    let flags = try ["cflags", "iflags", "sflags"].map {
      try image.offset(of: "kvm_vcpu.arch.\($0)")
    }
    #expect(flags == offsets["FLG"])
    if kernel == .debian612 {
      let features = try [
        image.offset(of: "kvm.arch.vcpu_features"), image.offset(of: "kvm_vcpu.kvm"),
      ]
      #expect(features == offsets["FEAT"])
    } else {
      #expect(try [image.offset(of: "kvm_vcpu.arch.features")] == offsets["FEAT"])
    }
    if kernel == .v7 {
      #expect(try [image.offset(of: "kvm_vcpu.arch.host_cpu_context")] == offsets["HCTX"])
      #expect(try [image.offset(of: "kvm_cpu_context.\(keySlot)")] == offsets["HKEY"])
    }
  }

  @Test("paths that lead nowhere say why")
  func refusals() throws {
    let image = try RecordedKernel.v7.open()
    func code(_ path: String) -> KernelImageError.Code? {
      do throws(KernelImageError) {
        _ = try image.offset(of: path)
        return nil
      } catch {
        #expect(error.description.contains(image.path))
        return error.code
      }
    }
    #expect(code("no_such_struct.x") == .noSuchType)
    #expect(code("kvm_vcpu.no_such_member") == .noSuchMember)
    #expect(code("kvm_vcpu.kvm.arch") == .notInside)
    #expect(code("kvm_vcpu.arch.host_cpu_context.sys_regs") == .notInside)
    #expect(code("kvm_vcpu.vcpu_id.x") == .notInside)
    #expect(code("kvm_vcpu.vcpu_id[0]") == .notInside)
    #expect(code("kvm_cpu_context.sys_regs.x") == .notInside)
    #expect(code("kvm_cpu_context.sys_regs[NO_SUCH_REGISTER]") == .noSuchIndex)
    #expect(code("kvm_cpu_context.sys_regs[100000]") == .noSuchIndex)
    #expect(code("kvm_cpu_context.sys_regs[99999999999999999999]") == .noSuchIndex)
    for path in [
      "", "kvm_vcpu", ".", "kvm_vcpu.", "kvm_vcpu..arch", "a.b[", "a.b]", "a.b[]", "a b.c",
    ] {
      #expect(code(path) == .malformedPath, "\(path)")
    }
    #expect(throws: KernelImageError.self) { try image.size(of: "no_such_struct") }
    #expect(try image.size(of: "u64") == 8)
    #expect(try image.size(of: "struct kvm_vcpu") == image.size(of: "kvm_vcpu"))
  }
}

/// The numbers behind each `+` or alone in a line of a recording's `offsets` file: `FLG='a=+1(%x0) b=+2(%x0)'`.
private struct ProbeOffsets {
  private var numbers: [String: [UInt64]] = [:]

  init(_ text: String) throws {
    for line in text.split(separator: "\n") {
      let halves = line.split(separator: "=", maxSplits: 1)
      guard halves.count == 2 else { continue }
      let value = halves[1].filter { $0 != "'" }
      let signed = value.split(separator: "+").filter { $0.first?.isNumber == true }
      numbers[String(halves[0])] = signed.compactMap { UInt64($0.prefix(while: \.isNumber)) }
    }
  }

  subscript(name: String) -> [UInt64]? { numbers[name] }
}
