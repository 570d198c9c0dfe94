import Bytes
import Glibc
import Recorder
import Testing

/// What of recording needs no tracefs: a tree of plain files stands for it.
struct RecordHostTests {
  /// A tree that is removed with it.
  final class Tree {
    let root: String

    init(probes: String?) throws {
      var template = Array("/tmp/ptrauth-trace-tracefs-XXXXXX".utf8CString)
      root = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
      _ = unsafe mkdir(root + "/instances", 0o700)
      Corpus.write([], to: root + "/trace_clock")
      if let probes { Corpus.write(Array(probes.utf8), to: root + "/kprobe_events") }
    }

    deinit { _ = try? Program.run("rm", ["-r", root]) }

    var tracefs: Tracefs { Tracefs(root: root) }
    var probes: String { String(decoding: Corpus.bytes(root + "/kprobe_events"), as: UTF8.self) }
    func instance(_ name: String) { _ = unsafe mkdir(root + "/instances/" + name, 0o700) }
  }

  static let arm64 = KernelSymbolTable(
    Array("ffff800008010000 T __arm64_sys_read\nffff800008020000 T kvm_arch_vcpu_load\n".utf8))

  @Test("each thing that is missing is said, the first first")
  func obstacles() throws {
    let full = try Tree(probes: "")
    var host = HostCheck(isRoot: true, symbols: Self.arm64, hasKVM: true, tracefs: full.tracefs)
    #expect(host.obstacle == nil)
    host.tracefs = try Tree(probes: nil).tracefs
    #expect(host.obstacle?.contains("CONFIG_KPROBE_EVENTS") == true)
    host.tracefs = nil
    #expect(host.obstacle?.contains("mount -t tracefs") == true)
    host.hasKVM = false
    #expect(host.obstacle?.hasPrefix("there is no /dev/kvm") == true)
    host.symbols = KernelSymbolTable(Array("ffff800008010000 T __arm64_sys_read\n".utf8))
    #expect(host.obstacle?.contains("CONFIG_KVM") == true)
    host.symbols = KernelSymbolTable(
      Array(
        "ffffffff81000000 T __x64_sys_read\nffffffff81000010 t kvm_arch_vcpu_load\t[kvm]\n".utf8))
    #expect(host.obstacle?.hasPrefix("this is no arm64 KVM host") == true)
    host.symbols = KernelSymbolTable([])
    #expect(host.obstacle?.contains("CONFIG_KALLSYMS") == true)
    host.symbols = KernelSymbolTable(
      Array("0000000000000000 T __arm64_sys_read\n0000000000000000 T kvm_arch_vcpu_load\n".utf8))
    #expect(host.obstacle?.contains("kptr_restrict") == true)
    host.isRoot = false
    #expect(host.obstacle?.hasPrefix("only root") == true)
  }

  @Test("tracefs is where its files are")
  func places() throws {
    let tree = try Tree(probes: nil)
    #expect(Tracefs.find(in: ["/nowhere", tree.root])?.root == tree.root)
    #expect(Tracefs.find(in: ["/nowhere"]) == nil)
  }

  @Test("what dead processes left is found, what is others' or alive is not")
  func abandoned() throws {
    let tree = try Tree(
      probes: """
        p:ptrauth_trace_999999998/sync kvm_vgic_sync_hwstate vcpu=%x0:x64
        r16:ptrauth_trace_999999997/sync kvm_vgic_sync_hwstate
        p:ptrauth_trace_\(getpid())/sync kvm_vgic_sync_hwstate
        p:ptrauth/sync kvm_vgic_sync_hwstate

        """)
    tree.instance("ptrauth-trace-999999996")
    tree.instance("ptrauth-trace-999999998")
    tree.instance("ptrauth-trace-\(getpid())")
    tree.instance("ptrauth-trace-mine")
    tree.instance("foo")
    #expect(tree.tracefs.abandoned() == [999_999_996, 999_999_997, 999_999_998])
  }

  @Test(
    "the guardian removes its own probes and instance and no others, and another does if it is killed"
  )
  func guardian() throws {
    let before = """
      p:ptrauth_trace_77/sync kvm_vgic_sync_hwstate vcpu=%x0:x64
      p:ptrauth_trace_7/sync kvm_vgic_sync_hwstate vcpu=%x0:x64
      p:ptrauth_trace_7/flush kvm_vgic_flush_hwstate vcpu=%x0:x64

      """
    let tree = try Tree(probes: before)
    tree.instance("ptrauth-trace-7")
    tree.instance("ptrauth-trace-77")
    let guardian = try Guardian(tree.tracefs, of: 7)
    kill(guardian.process.id, SIGKILL)
    // Plain files forget nothing: it sees that the probes are still there, and says so.
    #expect(!guardian.end())
    #expect(tree.probes == before + "-:ptrauth_trace_7/sync\n-:ptrauth_trace_7/flush\n")
    #expect(unsafe access(tree.root + "/instances/ptrauth-trace-7", F_OK) != 0)
    #expect(unsafe access(tree.root + "/instances/ptrauth-trace-77", F_OK) == 0)
  }

  @Test("without anything to remove it has nothing to complain of")
  func idleGuardian() throws {
    let tree = try Tree(probes: "p:ptrauth/sync kvm_vgic_sync_hwstate\n")
    #expect(try Guardian(tree.tracefs, of: 7).end())
    #expect(tree.probes == "p:ptrauth/sync kvm_vgic_sync_hwstate\n")
  }

  @Test("the instance refused: an error that names it, and nothing left")
  func refused() throws {
    let tree = try Tree(probes: "")
    let capture = Capture(
      tree.tracefs, probes: [], tracepoints: ["kvm:kvm_entry"], output: tree.root + "/t.dat",
      machine: "aarch64")
    // A directory of plain files has no tracing_on in a new instance.
    let error = #expect(throws: (any Error).self) { try capture.run() }
    #expect("\(error.map { "\($0)" } ?? "")".contains("/tracing_on cannot be opened for writing"))
    #expect(unsafe access(tree.root + "/instances/ptrauth-trace-\(getpid())", F_OK) != 0)
  }

  @Test("what was not taken out of a buffer is dropped, and other statistics stay as they are")
  func closedStatistics() {
    let text = "entries: 5\noverrun: 2\ndropped events: 3\nread events: 9\n"
    #expect(
      BufferCounters.closed(text) == text.replacing("dropped events: 3", with: "dropped events: 8"))
    let empty = text.replacing("entries: 5", with: "entries: 0")
    #expect(BufferCounters.closed(empty) == empty)
  }
}
