public import Replay

/// A format that is written while the recording is replayed.
public protocol TimelineWriter {
  /// What comes before the first entry.
  mutating func begin() -> [UInt8]
  /// What can be written once `entry` is known.
  mutating func add(_ entry: TimelineEntry) -> [UInt8]
  /// What comes after the last.
  mutating func end() -> [UInt8]
}

extension TimelineWriter {
  public mutating func begin() -> [UInt8] { [] }
  public mutating func end() -> [UInt8] { [] }
}
