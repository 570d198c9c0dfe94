import Regression
import Testing

/// The probabilities that R's fisher.test gives.
struct FisherExactTests {
  @Test(arguments: [
    (3, 4, 1, 4, 0.485714), (1, 12, 9, 12, 0.002759), (0, 10, 0, 10, 1),
    (10, 10, 0, 10, 1.0825e-05),
    (12, 2000, 30, 2000, 0.0075986), (5, 5, 5, 5, 1), (1, 1, 0, 1, 1),
  ])
  func knownTables(a: Int, n: Int, b: Int, m: Int, p: Double) throws {
    let found = try #require(FisherExact.p(UInt64(a), of: UInt64(n), UInt64(b), of: UInt64(m)))
    #expect(abs(found - p) <= max(1e-9, p * 1e-2), "\(found)")
    let other = try #require(FisherExact.p(UInt64(b), of: UInt64(m), UInt64(a), of: UInt64(n)))
    #expect(abs(found - other) < 1e-9, "the sides may be exchanged")
  }

  @Test func largeAndImpossibleTables() {
    let p = FisherExact.p(400_000, of: 1_000_000, 500_000, of: 1_000_000)
    #expect(p.map { $0 >= 0 && $0 < 1e-12 } ?? false)
    #expect(FisherExact.p(1, of: 0, 1, of: 4) == nil)
    #expect(FisherExact.p(5, of: 4, 1, of: 4) == nil)
  }
}
