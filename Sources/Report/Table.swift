/// Values in columns. Where they are wider than the page, the least important columns are left out, and it says
/// which: a line of a table that wraps is read by nobody.
struct Table {
  struct Column {
    enum Side { case left, right }

    var title: String
    /// The least it takes, with the space to what is left of it.
    var width: Int
    var side = Side.right
    /// Where columns are too few, the highest goes first; nil: it stays.
    var turn: Int?

    init(_ title: String, _ width: Int, _ side: Side = .right, turn: Int? = nil) {
      self.title = title
      self.width = width
      self.side = side
      self.turn = turn
    }
  }

  var columns: [Column]
  /// As many cells as there are columns.
  var rows: [[String]] = []
  var hasBoldTitles = false

  func write(to page: inout Page) {
    let least = columns.indices.map { index in
      max(rows.map { $0[index].count }.max() ?? 0, columns[index].title.count)
        + (index > 0 ? 1 : 0)
    }
    var widths = columns.indices.map { max(columns[$0].width, least[$0]) }
    if Self.margin.count + widths.reduce(0, +) > page.width { widths = least }
    var shown = Array(columns.indices)
    var left: [Int] = []
    while shown.reduce(Self.margin.count, { $0 + widths[$1] }) > page.width,
      let next = shown.filter({ columns[$0].turn != nil }).max(by: {
        (columns[$0].turn ?? 0) < (columns[$1].turn ?? 0)
      })
    {
      shown.removeAll { $0 == next }
      left.append(next)
    }
    func line(_ cells: [String]) -> String {
      Page.trimmed(
        Self.margin
          + shown.map { index in
            columns[index].side == .left
              ? cells[index].padded(widths[index]) : cells[index].right(widths[index])
          }.joined())
    }
    let titles = line(columns.map(\.title))
    page.line(hasBoldTitles ? page.style.bold(titles) : titles)
    for row in rows { page.line(line(row)) }
    if !left.isEmpty {
      page.paragraph(
        Self.margin,
        "Left out, as \(page.width) columns are too few: "
          + left.sorted().map { columns[$0].title.drop { $0 == " " } }.joined(separator: ", ") + "."
      )
    }
  }

  private static let margin = "  "
}
