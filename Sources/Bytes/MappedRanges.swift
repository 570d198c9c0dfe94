import Glibc
import Printing
import Synchronization

/// Which file lies where in memory. A file that another process makes shorter while it is mapped raises
/// SIGBUS at the first access behind its new end: the process then ends with a sentence that names it.
///
///     note, forget, hasShrunk ── one at a time ──▶ slots ◀── the signal handler, in any thread, at any time
///
/// A handler can wait for nobody: a slot is one pointer, to what does not change any more. What was taken out of its
/// slot is freed unless a handler has begun; once one has, the process ends, and nothing is freed.
@safe public enum MappedRanges {
  private typealias Slot = Atomic<UnsafeMutablePointer<Entry>?>

  @safe private struct Entry {
    var base: UInt
    var count: Int
    var descriptor: Int32
    var sentence: UnsafeMutablePointer<CChar>?

    func holds(_ address: UInt) -> Bool { address &- base < UInt(count) }
  }

  /// More files than this are mapped, and not named.
  private static let capacity = 512
  nonisolated(unsafe) private static let slots = unsafe InlineArray<512, Slot> { _ in
    unsafe Slot(nil)
  }
  /// Held by whoever changes a slot, or reads what it points at and is no handler.
  private static let turn = SharedValue(())
  private static let isEnding = Atomic(false)
  private static let exitCode = Atomic<Int32>(2)
  nonisolated(unsafe) private static let unnamed: UnsafeMutablePointer<CChar>? =
    unsafe strdup(words("a file that is being read"))

  private static func words(_ file: String) -> String {
    "ptrauth-trace: \(file) became shorter while it was read: another program writes it, or cut it; "
      + "read it once it is complete, or a copy of it\n"
  }

  /// From now on SIGBUS ends the process with a sentence and this exit code.
  public static func endWithSentence(exitCode code: Int32) {
    exitCode.store(code, ordering: .sequentiallyConsistent)
    // Made now: a handler must not be the first to touch them.
    _ = unsafe (slots[0].load(ordering: .relaxed), isEnding.load(ordering: .relaxed), unnamed)
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_sigaction = { _, info, _ in
      unsafe MappedRanges.end(info)
    }
    action.sa_flags = SA_SIGINFO
    unsafe sigaction(SIGBUS, &action, nil)
  }

  private static func end(_ info: UnsafeMutablePointer<siginfo_t>?) {
    // BUS_ADRERR: no byte of the file is there. Anything else is a fault of this program.
    guard let info = unsafe info, unsafe info.pointee.si_code == 2 else {
      signal(SIGBUS, SIG_DFL)
      return
    }
    // Before a slot is read: whoever empties one after this frees nothing.
    if isEnding.exchange(true, ordering: .sequentiallyConsistent) {
      // Another thread says it, and ends this one too.
      while true { pause() }
    }
    let address = unsafe UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
    var sentence = unsafe unnamed
    for index in 0..<capacity {
      if let entry = unsafe slots[index].load(ordering: .sequentiallyConsistent),
        unsafe entry.pointee.holds(address)
      {
        unsafe sentence = entry.pointee.sentence
        break
      }
    }
    if let text = unsafe sentence { _ = unsafe write(STDERR_FILENO, text, strlen(text)) }
    _exit(exitCode.load(ordering: .sequentiallyConsistent))
  }

  /// - Parameters:
  ///   - descriptor: of the mapped file; stays the caller's.
  ///   - path: its name for people; nil for memory, which nobody else can make shorter.
  static func note(_ base: UnsafeRawPointer, _ count: Int, _ descriptor: Int32, _ path: String?) {
    guard let path else { return }
    let start = UInt(bitPattern: base)
    turn.withLock { _ in
      for index in 0..<capacity where unsafe slots[index].load(ordering: .relaxed) == nil {
        let entry = UnsafeMutablePointer<Entry>.allocate(capacity: 1)
        unsafe entry.initialize(
          to: Entry(
            base: start, count: count, descriptor: fcntl(descriptor, F_DUPFD_CLOEXEC, 0),
            sentence: strdup(words(ControlCharacters.escaped(path)))))
        unsafe slots[index].store(entry, ordering: .sequentiallyConsistent)
        return
      }
    }
  }

  /// All files in these bytes are no longer mapped.
  static func forget(_ base: UnsafeRawPointer, _ count: Int) {
    let start = UInt(bitPattern: base)
    turn.withLock { _ in
      for index in 0..<capacity {
        guard let entry = unsafe slots[index].load(ordering: .relaxed),
          unsafe entry.pointee.base &- start < UInt(count)
        else { continue }
        unsafe slots[index].store(nil, ordering: .sequentiallyConsistent)
        if isEnding.load(ordering: .sequentiallyConsistent) { return }
        if unsafe entry.pointee.descriptor >= 0 { unsafe close(entry.pointee.descriptor) }
        unsafe free(entry.pointee.sentence)
        unsafe entry.deallocate()
      }
    }
  }

  /// A mapped file has fewer bytes now than when it was opened: what was read behind its new end were
  /// zeros.
  public static var hasShrunk: Bool {
    turn.withLock { _ in
      for index in 0..<capacity {
        guard let entry = unsafe slots[index].load(ordering: .relaxed) else { continue }
        var status = stat()
        if unsafe fstat(entry.pointee.descriptor, &status) == 0,
          unsafe Int(status.st_size) < entry.pointee.count
        {
          return true
        }
      }
      return false
    }
  }

  /// A handler would name the file at this address.
  package static func names(_ base: UnsafeRawPointer) -> Bool {
    let address = UInt(bitPattern: base)
    return turn.withLock { _ in
      for index in 0..<capacity {
        if let entry = unsafe slots[index].load(ordering: .relaxed),
          unsafe entry.pointee.holds(address)
        {
          return true
        }
      }
      return false
    }
  }
}
