import Fleet
import Testing

/// Rows come as people order releases, and what --by leaves out is left out.
struct GroupTests {
  @Test func releasesAreOrdered() {
    let releases = [
      "5.10.0-8-arm64", "6.1.0-56-arm64", "6.1.192-v7", "6.2.0-rc1", "6.2.0-rc1-00012-gabc",
      "6.2.0-rc2",
      "6.2.0-rc10", "6.2.0", "6.2.0-56-generic", "6.2.0-056-generic", "6.2.1", "6.10.0",
      "99999999999999999999999.1", "next",
    ]
    ordered(releases)
  }

  /// As rpm(8) orders them within a version; and "-rc" is one only with its number, and alone.
  @Test func distributionsAreOrdered() {
    ordered([
      "4.18.0-425.3.1.el8", "4.18.0-425.10.1.el8_7", "5.14.0-70.el9", "5.14.0-162.el9",
      "5.14.0-162.el9.aarch64", "5.14.0-162.6.1.el9_1", "5.14.0-162.6.1.el9_1.aarch64",
      "5.14.0-162.12.1.el9_1", "5.14.0-284.el9", "6.1.0-0.rc3.26.fc38", "6.1.0-65.fc38",
      "6.9~rc4-arm64", "6.9", "6.9.0-rc1", "6.9.0-rc1+", "6.9.0-rc10", "6.9.0", "6.9.0-rc-board",
      "6.9.0-rcar-gen3",
    ])
  }

  private func ordered(_ releases: [String]) {
    for (number, a) in releases.enumerated() {
      for (other, b) in releases.enumerated() where a != b {
        let isEqualToTheEye = a.contains("56-generic") && b.contains("56-generic")
        if !isEqualToTheEye {
          #expect(VersionOrder.precedes(a, b) == (number < other), "\(a) \(b)")
        }
        #expect(VersionOrder.precedes(a, b) != VersionOrder.precedes(b, a), "\(a) \(b)")
      }
      #expect(!VersionOrder.precedes(a, a))
    }
  }

  private func group(_ release: String?, _ labels: (String, String?)...) -> Group {
    Group(
      Group.Kernel(release: release, buildID: release.map { "id of \($0)" }),
      labels: labels.map { (key: $0.0, value: $0.1) })
  }

  @Test func whatIsNotKnownComesLast() {
    let groups = [group(nil), group("6.2"), group("6.10"), group("5.1")]
    #expect(groups.sorted() == [groups[3], groups[1], groups[2], groups[0]])
    let merged = group("6.1", ("board", "a"))
    let over = Grouping(facets: [.label("board")]).group(merged)
    #expect(Grouping.kernels.group(over).words == "recordings merged over kernels")
    #expect(group(nil) < Grouping.kernels.group(over))
    let boards = ["b", nil, "a"].map { group("6.1", ("board", $0)) }
    #expect(boards.sorted() == [boards[2], boards[0], boards[1]])
  }

  @Test func whichIsOlder() {
    let old = group("6.1", ("board", "a"))
    #expect(old.isOlder(than: group("6.2", ("board", "a"))))
    #expect(!group("6.2", ("board", "a")).isOlder(than: old))
    #expect(!old.isOlder(than: group("6.2", ("board", "b"))))
    #expect(!old.isOlder(than: group("6.2")))
    #expect(!old.isOlder(than: group(nil, ("board", "a"))))
    #expect(!group(nil, ("board", "a")).isOlder(than: old))
    let other = Group(
      Group.Kernel(release: "6.1", buildID: "0"), labels: [(key: "board", value: "a")])
    #expect(!old.isOlder(than: other) && !other.isOlder(than: old))
    #expect((old < other) != (other < old))
  }

  @Test func byChoosesAndOrders() throws {
    let whole = group("6.1", ("board", "x"), ("night", "3"))
    #expect(Grouping.everything.group(whole) == whole)
    let byBoard = try #require(Grouping("label:board,kernel"))
    #expect(byBoard.group(whole).words == "board x, 6.1 (build-id id of 6.1)")
    #expect(try #require(Grouping("kernel")).group(whole).words == "6.1 (build-id id of 6.1)")
    // Twice is once, and through another grouping the same.
    #expect(byBoard.group(byBoard.group(whole)) == byBoard.group(whole))
    #expect(byBoard.group(Grouping.everything.group(whole)) == byBoard.group(whole))
    #expect(try #require(Grouping("label:none")).group(whole).words == "none not said")
    for wrong in ["", "kernel,", "kernels", "label:", "label:a b", "kernel,kernel", ","] {
      #expect(Grouping(wrong) == nil, "\(wrong)")
    }
  }
}
