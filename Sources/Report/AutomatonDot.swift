public import Explorer

/// `verify --dot`: the automaton in Graphviz's language, laid out line by line as the kernel's
/// tools/verification reads its models (Documentation/trace/rv/deterministic_automata.rst): nodes
/// first, the initial one behind an invisible node, one line an edge.
public enum AutomatonDot {
  public static func render(_ automaton: Automaton) -> String {
    var text = "digraph state_automaton {\n\tcenter = true;\n\tsize = \"7,11\";\n"
    text +=
      "\t{node [shape = plaintext, style=invis, label=\"\"] \"__init_\(automaton.initial)\"};\n"
    text += "\t{node [shape = doublecircle] \"\(automaton.initial)\"};\n"
    for state in automaton.states where state != automaton.initial {
      text += "\t{node [shape = circle] \"\(state)\"};\n"
    }
    text += "\t\"__init_\(automaton.initial)\" -> \"\(automaton.initial)\";\n"
    for state in automaton.states {
      text += "\t\"\(state)\" [label = \"\(state)\"];\n"
      // One arrow for all events from here to there.
      var targets: [(to: String, events: [String])] = []
      for edge in automaton.edges where edge.from == state {
        if let i = targets.firstIndex(where: { $0.to == edge.to }) {
          targets[i].events.append(edge.event)
        } else {
          targets.append((edge.to, [edge.event]))
        }
      }
      for (to, events) in targets {
        text += "\t\"\(state)\" -> \"\(to)\" [ label = \"\(events.joined(separator: "\\n"))\" ];\n"
      }
    }
    text += "\t{ rank = min ;\n"
    text += "\t\t\"__init_\(automaton.initial)\";\n\t\t\"\(automaton.initial)\";\n\t}\n}\n"
    return text
  }
}
