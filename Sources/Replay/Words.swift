import Ptrauth

// The field's own way to write values, for statements and evidence.

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

func words(_ bits: EnableBits) -> String {
  func digit(_ bit: Bit) -> String { bit.value.map(String.init) ?? "?" }
  return "API=\(digit(bits.api)) APK=\(digit(bits.apk))"
}

func words(_ registers: [KeyRegister]) -> String {
  registers.count == 10 ? "all ten" : registers.map(\.name).joined(separator: ", ")
}

func words(_ trap: PtrauthTrap) -> String {
  switch trap {
  case .instruction: "a pointer authentication trap"
  case .register(let access):
    "a trapped \(access.isWrite ? "write" : "read") of \(access.register.name)"
  }
}

/// "TRAP EC 0x09" as kvm_exit prints them; IRQ, SERROR and others by ARM_EXCEPTION_CODE.
func words(ret: Int32?, ec: UInt32?) -> String {
  guard let ret else { return "" }
  switch ret {
  case 2:
    let digits = String(ec ?? 0, radix: 16)
    return "TRAP EC 0x" + (digits.count < 2 ? "0" : "") + digits
  default: return exceptionName(ret)
  }
}

/// ARM_EXCEPTION_CODE by name (arch/arm64/include/asm/kvm_asm.h).
public func exceptionName(_ ret: Int32) -> String {
  switch ret {
  case 0: "IRQ"
  case 1: "SERROR"
  case 2: "TRAP"
  case 0xbadca11: "HYP_GONE"
  default: "0x" + String(UInt32(bitPattern: ret), radix: 16)
  }
}
