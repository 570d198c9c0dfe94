extension ManualTopic {
  static let security = ManualTopic(
    name: "security", abstract: "Files of strangers, secrets, and what leaves the machine",
    sections: [
      Section(
        title: "WHAT IS READ",
        text: """
          Recordings and vmlinux files are read as a stranger's. Everything is parsed in one process, with the rights \
          of who runs it (`audit` shows code by llvm-objdump, where that is installed, which gets the instructions alone): \
          the formats of recordings by bounds-checked Swift, which has no unchecked memory access outside \
          of Sources/Bytes and of what calls the C libraries; event formats by libtraceevent, ELF, DWARF and BTF by libelf, libdw and libbpf, compressed \
          data by libzstd, liblzma and zlib, which are C. A fault in these ends the process: of a file that you do not \
          trust, run the analysis where that does no harm (a container without network, an ordinary user).

          A file that unpacks to more than 256 times its size (and 64 MiB) is refused, and a vmlinux whose sections \
          overlap, or are elsewhere by its program headers, or come to more than 768 MiB unpacked. Where a vmlinux's \
          symbols do not tell which code is whose, or its BTF and DWARF contradict each other, its code is not judged. \
          DWARF that has a part in another file is not read. Names and build-ids out of a \
          recording lead to files beside it, into perf's build-id cache and to where debug files are installed, not out \
          of these. A file beside a recording may be a link, and is read where it leads; `redact` copies none that leads \
          out of the recording's directory.

          A recording of which bytes were changed, as far as that shows, proves nothing: findings are then suspected at \
          most, and the verdict is never clean. A changed value that is a possible one does not show: neither perf.data \
          nor trace.dat has checksums.
          """),
      Section(
        title: "RIGHTS",
        text: """
          `record`, and the scripts that `probes` writes, run as root. `analyze`, `audit`, `info`, `compare`, `merge`, \
          `whatif` and `redact` need no rights.
          """),
      Section(
        title: "WHAT LEAVES THE MACHINE",
        text: """
          A build-id, to the debuginfod servers of $DEBUGINFOD_URLS if that is set, and nothing else; --offline asks none.

          Key values are compared and never written, except by `record` into the recording, which has others in their \
          place; `redact` makes a copy of a recording without them.
          """),
      Section(
        title: "FAULTS",
        text: """
          In the project's tree, .ci/fuzz SECONDS fuzzes every input (Tests/Fuzz), the tests replay all that was ever \
          found, and .ci/sanitize address or thread runs them under a sanitizer. Report a file that crashes, hangs or \
          deceives this program with its smallest part that does, redacted; not in public if it endangers who opens it.
          """),
    ])
}
