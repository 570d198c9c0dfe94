private import Synchronization

/// A value that several threads use, one at a time.
///
/// A `Mutex` that another thread holds is waited for, and taken, inside of the standard library, where
/// ThreadSanitizer sees nothing: it takes what is written on both sides for a race. The count hands over where
/// it sees.
package struct SharedValue<Value: Sendable>: ~Copyable, Sendable {
  private let value: Mutex<Value>
  private let turns = Atomic<UInt>(0)

  package init(_ value: Value) { self.value = Mutex(value) }

  package func withLock<Result: Sendable, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try value.withLock { (value) throws(Failure) -> Result in
      _ = turns.load(ordering: .acquiring)
      defer { turns.wrappingAdd(1, ordering: .releasing) }
      return try body(&value)
    }
  }
}
