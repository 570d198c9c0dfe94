/// Who wants to know what happens while a stream is read, besides its events.
public struct StreamObserver {
  /// The stream has an event that it had not shown before.
  public var learned: (RecordedEvent) -> Void
  /// All that has come is delivered, as far as its order is certain: reading on may wait. With the time,
  /// in milliseconds of a clock that only goes forward.
  public var drained: (UInt64) -> Void
  /// The writer has been silent for a while, all that it wrote is delivered, and it would have
  /// written what it knows.
  public var silent: () -> Void

  public init(
    learned: @escaping (RecordedEvent) -> Void, drained: @escaping (UInt64) -> Void,
    silent: @escaping () -> Void
  ) {
    self.learned = learned
    self.drained = drained
    self.silent = silent
  }
}
