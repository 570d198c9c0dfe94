import KernelImage
import Replay
import Testing
import Trace
import ptrauth_trace

/// vmlinux laid under run-time addresses.
struct KernelBindingTests {
  private let image: KernelImage
  private var recording = Recording(path: "r", format: "", byteCount: 0, clock: "")

  init() throws { image = try KernelImage(path: Corpus.traces[1].vmlinux) }

  /// KASLR: everything moves by what the recorded `_text` moved.
  @Test(arguments: [0, 0x20_0000, 0x1234_5678_0000] as [UInt64])
  func slide(by slide: UInt64) throws {
    var recording = recording
    let text = try #require(image.addresses(of: "_text").first)
    recording.kernelText = ("_text", text &+ slide)
    let binding = KernelBinding(image, recording)
    #expect(binding.slide == slide && binding.slideIsKnown)
    // This kernel handles no trap at EL2.
    for function in KernelFunction.allCases where function != .hypHandlePtrauth {
      let address = try #require(image.addresses(of: function.rawValue).first)
      #expect(binding.function(at: address &+ slide) == function)
      // Behind the NOPs of a patchable entry it is still the entry; deep inside it is not.
      #expect(binding.function(at: address &+ slide &+ 8) == function)
      #expect(binding.function(at: address &+ slide &+ 0x40) == nil)
      #expect(binding.isFunctionEntry(address &+ slide))
      #expect(!binding.isFunctionEntry(address &+ slide &+ 0x40))
      if slide != 0 { #expect(binding.function(at: address) != function) }
    }
  }

  @Test func withoutARecordedTextAddressNothingSlides() {
    let binding = KernelBinding(image, recording)
    #expect(binding.slide == 0 && !binding.slideIsKnown)
  }

  @Test func interiorLabelsAreNoFunctions() throws {
    let binding = KernelBinding(image, recording)
    let label = try #require(image.addresses(of: "skip_switch_to_guest").first)
    #expect(!binding.isFunctionEntry(label))
    #expect(image.function(at: label)?.name == "__guest_enter")
  }

  @Test func sourcesAreThoseOfTheDeclarations() throws {
    let binding = KernelBinding(image, recording)
    let source = try #require(binding.source(ofFirst: ["no_such_function", "handle_exit"]))
    #expect(source.symbol == "handle_exit")
    #expect(source.location.file == "arch/arm64/kvm/handle_exit.c")
  }

  @Test("a symbol that a text names tells the kernel by its size")
  func symbols() throws {
    let binding = KernelBinding(image, recording)
    let function = try #require(image.symbols?.functions(called: "handle_exit").first)
    let size = UInt32(function.size)
    #expect(binding.has(SymbolName("handle_exit", size: size)) == true)
    // The kernel counts up to the next symbol.
    #expect(binding.has(SymbolName("handle_exit", size: size + 12)) == true)
    #expect(binding.has(SymbolName("handle_exit", size: size + 64)) == false)
    #expect(binding.has(SymbolName("handle_exit", size: size - 4)) == false)
    #expect(binding.has(SymbolName("handle_exit")) == true)
    #expect(binding.has(SymbolName("kvm_hyp_handle_ptrauth")) == false)
    #expect(binding.has(SymbolName("vfs_read", size: 8)) == nil)
  }
}
