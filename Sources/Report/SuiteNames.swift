/// What tests are called: it must not change when the recordings lie elsewhere, or CI systems lose sight of them.
public enum SuiteNames {
  public static let standard = "ptrauth-trace"

  /// Names `suites`: one by itself as `name`, several as "name/perf.data"; with as much of their paths as tells them
  /// apart ("name/run1/perf.data").
  public static func give(_ name: String, to suites: [TestSuite]) -> [TestSuite] {
    guard suites.count > 1 else {
      return suites.map { suite in
        var suite = suite
        suite.name = name
        return suite
      }
    }
    let short = distinct(suites.map(\.path))
    return zip(suites, short).map { suite, short in
      var suite = suite
      suite.name = "\(name)/\(short)"
      return suite
    }
  }

  /// The last components of each path that no other ends with; the same path twice has numbers.
  package static func distinct(_ paths: [String]) -> [String] {
    let parts = paths.map { $0.split(separator: "/").map(String.init) }
    func end(_ index: Int, _ count: Int) -> String {
      parts[index].suffix(count).joined(separator: "/")
    }
    var names: [String] = []
    for index in paths.indices {
      var count = 1
      while count < parts[index].count,
        paths.indices.contains(where: {
          $0 != index && end($0, count) == end(index, count) && parts[$0] != parts[index]
        })
      { count += 1 }
      names.append(end(index, count))
    }
    return names.indices.map { index in
      let before = names[..<index].count { $0 == names[index] }
      return before == 0 ? names[index] : "\(names[index])#\(before + 1)"
    }
  }
}
