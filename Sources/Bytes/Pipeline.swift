import Glibc

/// Values that one thread makes while another uses them, in the order in which they were made.
///
///     produce ──▶ │ batch │ batch │ ... │ batch │ ──▶ consume
///                  free: where to write       filled: what to read
///
/// The ring is of fixed size: whoever is ahead waits, so that memory stays bounded. A batch that is not full is the
/// last.
@safe package struct Pipeline<Element: BitwiseCopyable & Sendable>: ~Copyable {
  @usableFromInline static var batchCapacity: Int { 1024 }
  private static var batchCount: Int { 4 }

  /// Calls `produce` on a thread of its own and `consume` here, with all that it writes, a batch at a time; returns when
  /// both are done.
  ///
  /// - Parameter blank: what each place holds before it is written for the first time.
  /// - Returns: false if the system gives no thread: then nothing was called.
  package static func run(
    blank: Element, produce: @Sendable (inout Writer) -> Void, consume: (Span<Element>) -> Void
  ) -> Bool {
    let ring = Ring(blank)
    return withoutActuallyEscaping(produce) { produce in
      let work = ThreadBody {
        var writer = Writer(ring)
        produce(&writer)
        writer.finish()
      }
      guard let thread = work.start() else { return false }
      ring.drain(consume)
      pthread_join(thread, nil)
      return true
    }
  }

  /// Writes the batch that is its turn.
  @safe package struct Writer: ~Copyable {
    @usableFromInline let ring: Ring
    @usableFromInline var slot: UnsafeMutablePointer<Element>
    @usableFromInline var count = 0

    fileprivate init(_ ring: Ring) {
      self.ring = ring
      unsafe slot = ring.nextFree()
    }

    /// Writes the next value over one of those before it: what stays of that is not carried to the other thread's core
    /// again.
    @inlinable
    package mutating func next(_ write: (inout Element) -> Void) {
      unsafe write(&slot[count])
      count += 1
      if count == Pipeline.batchCapacity { turn() }
    }

    @usableFromInline
    mutating func turn() {
      ring.fill(count)
      unsafe slot = ring.nextFree()
      count = 0
    }

    fileprivate mutating func finish() { ring.fill(count) }
  }

  /// Its two places are each used by one thread alone; the semaphores say which batches are whose.
  @safe @usableFromInline final class Ring: @unchecked Sendable {
    private let elements: UnsafeMutablePointer<Element>
    private let counts: UnsafeMutablePointer<Int>
    private let free: UnsafeMutablePointer<sem_t>
    private let filled: UnsafeMutablePointer<sem_t>
    /// The producer's.
    private var written = 0

    init(_ blank: Element) {
      unsafe elements = .allocate(capacity: batchCount * batchCapacity)
      unsafe elements.initialize(repeating: blank, count: batchCount * batchCapacity)
      unsafe counts = .allocate(capacity: batchCount)
      unsafe free = .allocate(capacity: 1)
      unsafe filled = .allocate(capacity: 1)
      unsafe sem_init(free, 0, UInt32(batchCount))
      unsafe sem_init(filled, 0, 0)
    }

    deinit {
      unsafe sem_destroy(free)
      unsafe sem_destroy(filled)
      unsafe free.deallocate()
      unsafe filled.deallocate()
      unsafe counts.deallocate()
      unsafe elements.deallocate()
    }

    private func wait(for semaphore: UnsafeMutablePointer<sem_t>) {
      while unsafe sem_wait(semaphore) != 0, errno == EINTR {}
    }

    /// Waits for a batch that may be written.
    fileprivate func nextFree() -> UnsafeMutablePointer<Element> {
      unsafe wait(for: free)
      return unsafe elements + written * batchCapacity
    }

    /// The batch has `count` elements, and may be read.
    @usableFromInline func fill(_ count: Int) {
      unsafe counts[written] = count
      written = (written + 1) % batchCount
      unsafe sem_post(filled)
    }

    fileprivate func drain(_ consume: (Span<Element>) -> Void) {
      var place = 0
      var isLast = false
      while !isLast {
        unsafe wait(for: filled)
        let count = unsafe counts[place]
        unsafe consume(
          Span(_unsafeStart: elements + place * batchCapacity, count: count))
        isLast = count < batchCapacity
        place = (place + 1) % batchCount
        unsafe sem_post(free)
      }
    }
  }
}

/// What a thread of its own is to do.
private final class ThreadBody: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  /// nil: the system gives no thread.
  func start() -> pthread_t? {
    let context = unsafe Unmanaged.passRetained(self)
    var thread = pthread_t()
    let result = unsafe pthread_create(
      &thread, nil,
      { context in
        if let context = unsafe context {
          unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
        }
        return nil
      }, context.toOpaque())
    if result == 0 { return thread }
    unsafe context.release()
    return nil
  }
}
