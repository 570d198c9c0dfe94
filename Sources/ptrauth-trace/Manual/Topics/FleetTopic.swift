extension ManualTopic {
  static let fleet = ManualTopic(
    name: "fleet", abstract: "Many recordings: summaries, and what they add up to",
    sections: [
      Section(
        title: "SUMMARIES",
        text: """
          `analyze --format summary` writes a line of JSON for each recording, and `render --format summary` makes it from \
          saved reports. It has the kernel's release and build-id, the scheme, the verdict, what became of each rule, \
          sums of counters, and sketches of rates; no key, no host name, and of paths the base name alone. --label \
          board=rock5 says where it was made: a host's name is in it if you say so. A recording that cannot be read \
          has its line too, and the line says why: of a folder also a file that is empty, cut to a few bytes or not to be \
          opened, if it is called as recordings are. Folders in it are not read; what is passed over is said.

          A merged summary is the same kind of line about more recordings: `merge` takes both, in any order and grouping, and \
          what it says is the same. Everything in it is a sum, a sketch whose buckets add up exactly, or the first \
          eight of a list of names by their bytes, with the number of the others. So merge cannot tell that a recording is \
          in its input twice: it counts twice. Sums of traps are over vCPUs that may have pointer authentication: for \
          others a trap is no cost of the key switch. What --by left out was merged over, and the line says so (`by`): \
          nobody can tell it apart again.

          A line that contradicts itself, as one does of which a verdict was changed by hand, is no summary, and a file \
          without a line is damaged: what it should have said is not known.
          """),
      Section(
        title: "WHAT BECOMES OF A RULE",
        text: """
          In each recording one of: broken (it counts for the verdict), known (all of it is in the list of --known), \
          doubtful (suspected only, where events are missing), kept, keptOutsideGaps (not found, and events are missing), \
          notJudged, impossible (its kernel or its guests cannot break it). Shares are of the recordings that judge \
          the rule, not of all. A row, and the whole, is never clean without a word of the critical rules that none of its \
          recordings judged, and findings that are all known are findings.

          A recording is "no pass" (open) if analyze would end with exit code 2, had it found nothing.
          """),
      Section(
        title: "ORDER",
        text: """
          Rows come in the order of --by: releases as people and rpm count them (6.2.0-rc1, 6.2.0, 6.10.0; \
          5.14.0-162.el9, 5.14.0-162.6.1.el9_1), equal releases by build-id, which is no order in time. Where nightly kernels have one release, give a label that sorts: \
          --label night=2026-03-01, and --by label:night,kernel. The first row that fails is named as the first bad one.
          """),
      Section(
        title: "RATES",
        text: """
          A sketch counts rates by size, in 128 buckets for each power of two: a quantile is at most 0.8 % too low. It is of \
          recordings, of VMs and of vCPUs. Metrics are those of compare. A rate that a recording cannot show is in no sketch.

          `compare` takes summaries as a side. Its U test then knows each recording's rate as far as its bucket, and takes \
          those in one bucket for equal. Shares of recordings that break a rule are compared by Fisher's exact test; \
          that says whether they differ, and is no regression by itself.
          """),
      Section(
        title: "MEMORY",
        text: """
          merge keeps one sum for each kernel, or whatever --by names, and forgets the lines. A label with as many values as \
          there are recordings makes as many rows.
          """),
    ])
}
