import Bytes
import Glibc
import Testing

/// Two threads, and what goes from one to the other.
struct PipelineTests {
  /// Around the size of a batch, and of all batches.
  @Test(arguments: [0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 100_000])
  func everythingComesOnceAndInOrder(count: Int) {
    var next = 0
    var wrong = 0
    let hasRun = Pipeline.run(blank: -1) { writer in
      for number in 0..<count { writer.next { $0 = number } }
    } consume: { numbers in
      for index in numbers.indices {
        if numbers[index] != next { wrong += 1 }
        next += 1
      }
    }
    #expect(hasRun && next == count && wrong == 0)
  }

  @Test("whoever is ahead waits", arguments: [true, false])
  func aSlowSide(isProducer: Bool) {
    let count = 20_000
    var sum = 0
    _ = Pipeline.run(blank: -1) { writer in
      for number in 0..<count {
        if isProducer, number % 2000 == 0 { usleep(1000) }
        writer.next { $0 = number }
      }
    } consume: { numbers in
      if !isProducer { usleep(1000) }
      for index in numbers.indices { sum += numbers[index] }
    }
    #expect(sum == count * (count - 1) / 2)
  }

  @Test func largeValuesAreWhole() {
    typealias Value = InlineArray<40, UInt64>
    var torn = 0
    var next: UInt64 = 0
    _ = Pipeline.run(blank: Value(repeating: 0)) { writer in
      for number in 0..<20_000 { writer.next { $0 = Value(repeating: UInt64(number)) } }
    } consume: { values in
      for place in values.indices {
        for index in 0..<40 where values[place][index] != next { torn += 1 }
        next += 1
      }
    }
    #expect(torn == 0 && next == 20_000)
  }
}
