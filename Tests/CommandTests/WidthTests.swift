import Testing

/// Text is as wide as the terminal: nothing is cut off, nothing that is copied is broken.
struct WidthTests {
  private static let faulty = "traces/v7-trap-skips-host-save/perf.data"
  private static let good = "traces/v7-good/perf.data"

  /// Every command that prints text of its own.
  static let commands: [[String]] = [
    ["analyze", "-q", faulty], ["analyze", "-q", good, faulty, "-v"], ["info", faulty],
    ["whatif", good], ["compare", "-q", good, faulty], ["explain"],
    ["explain", "missed-host-save"], ["verify", "--generation", "5.8", "--pcpus", "1"],
    ["audit", "-v", "--objdump", "none", "traces/deb-6.1-good/vmlinux.slim.zst"],
  ]

  private func run(_ arguments: [String], columns: String) throws -> String {
    try Program.run(Program.command, arguments, environment: ["COLUMNS=\(columns)"]).output
  }

  /// What is too long for a line is one word, or is typed as it is.
  private func isWhole(_ line: String) -> Bool {
    let words = line.split(separator: " ")
    return words.count == 1 || line.contains("`") || line.hasPrefix("recorder   ")
      || line.contains("ptrauth-trace record ")
      // A name or a path behind the label of the line.
      || (words.count == 2 && words[0].count <= 10)
  }

  @Test(arguments: commands, [40, 80, 140])
  func noLineIsWider(command: [String], columns: Int) throws {
    let lines = try run(command, columns: String(columns)).split(separator: "\n").map(String.init)
    for line in lines where line.count > columns { #expect(isWhole(line), "\(line)") }
    // The width is used, where there are paragraphs.
    guard ["analyze", "info", "whatif", "audit"].contains(command[0]) else { return }
    #expect(lines.contains { $0.count > columns - 12 }, "\(lines.map(\.count).max() ?? 0)")
  }

  /// The words are the same, whatever the width; but for what is left out, and says so.
  @Test func nothingIsLost() throws {
    func words(_ columns: String) throws -> [Substring] {
      try run(["analyze", "-q", Self.faulty], columns: columns)
        .split(whereSeparator: \.isWhitespace)
    }
    #expect(try words("80") == words("140"))
    let narrow = try run(["analyze", "-q", Self.faulty], columns: "40")
    #expect(narrow.contains("Left out, as 40 columns are too few:\n  ptrauth, known, enabled."))
    #expect(narrow.contains("\n  vcpu tid loads runs traps saves\n"))
    #expect(narrow.contains("\nmissed-host-save\n    critical, proved, 356 times on 3\n"))
    // At less than 40 it is laid out as at 40.
    #expect(try run(["analyze", "-q", Self.faulty], columns: "9") == narrow)
  }

  @Test func aPictureIsWholeOrSaysWhatItTakes() throws {
    let wide = try run(["explain", "missed-host-save"], columns: "80")
    #expect(wide.contains("kvm_arch_vcpu_load") && !wide.contains("Its picture"))
    let narrow = try run(["explain", "missed-host-save"], columns: "40")
    #expect(narrow.contains("(Its picture takes 67 columns; there\n  are 40."))
  }

  /// Without a terminal text has 80 columns, and its verdict one line; a file too, whatever COLUMNS says.
  @Test func filesAndPipes() throws {
    let piped = try run(["analyze", "-q", Self.good], columns: "")
    #expect(
      piped.hasPrefix(
        "CLEAN, but missed-guest-restore and preemptible-host-save were not judged: 15 of "
      ))
    let rest = piped.split(separator: "\n").map(String.init).dropFirst()
    #expect(rest.allSatisfy { $0.count <= 80 })
    for nonsense in ["0", "-5", "wide"] {
      #expect(try run(["analyze", "-q", Self.good], columns: nonsense) == piped)
    }
    let file = try run(["analyze", "-q", Self.good, "-o", "/dev/stderr"], columns: "40")
    #expect(file.isEmpty)
  }

  /// The terminal's own width, which the kernel knows.
  @Test(arguments: [40, 100])
  func theTerminalSays(columns: Int) throws {
    func shown(_ prefix: [String]) throws -> String {
      try Program.run(
        "/usr/bin/python3",
        [Corpus.root + "/Tests/CommandTests/Validators/terminal.py"] + prefix
          + [Program.command, "explain", "stale-enable", "--no-pager"]
      ).output.replacing("\r\n", with: "\n")
    }
    let asked = try run(["explain", "stale-enable", "--color", "never"], columns: "\(columns)")
    #expect(try shown(["SIZE=\(columns)", "NO_COLOR=1"]) == asked)
    #expect(try shown(["SIZE=60", "COLUMNS=\(columns)", "NO_COLOR=1"]) == asked)
    // Colours take no columns.
    let coloured = try shown(["SIZE=\(columns)"])
    let plain = coloured.replacing(/\u{1b}\[[0-9;]*m/, with: "")
    #expect(plain == asked && coloured != asked)
  }
}
