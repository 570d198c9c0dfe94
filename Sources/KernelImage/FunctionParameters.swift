import CElfutils

extension KernelImage {
  /// The struct that the first parameter of a function points at, "kvm_vcpu" for `struct kvm_vcpu *vcpu`;
  /// nil where DWARF does not say, and for a parameter of another kind.
  public func firstParameterPointee(ofFunctionAt address: UInt64) -> String? {
    information?.firstParameterPointee(ofFunctionAt: address, symbol: function(at: address))
  }
}

extension DebugInformation {
  func firstParameterPointee(
    ofFunctionAt address: UInt64, symbol: KernelFunctionSymbol?
  ) -> String? {
    guard let unit = unit(covering: address),
      let function = subprogram(at: address, symbol: symbol, in: unit)
    else { return nil }
    let parameter = function.firstChild { Int($0.tag) == DW_TAG_formal_parameter ? $0 : nil }
    guard let pointer = parameter?.type?.unqualified, Int(pointer.tag) == DW_TAG_pointer_type
    else { return nil }
    return pointer.type?.unqualified?.name
  }
}
