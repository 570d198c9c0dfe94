import Ptrauth

/// One vCPU as the key switch may have left it: what is possible behind the events, as far as API and APK go. In nine
/// bits, so that a set of worlds is a set of bits (``WorldSet``).
package struct VCPUWorld: Hashable {
  /// What vcpu_has_ptrauth() answers.
  var hasFeature: Bool
  /// The shadow in memory: HCR_EL2.API and APK of the next entry.
  var shadow: Pair
  /// HCR_EL2 in the CPU. It matters while the guest runs; otherwise both are 0.
  var live: Pair
  package var place: Place

  /// API and APK, both known.
  struct Pair: Hashable {
    /// Bit 0: API, bit 1: APK.
    var code: UInt8
    init(code: UInt8) { self.code = code }
    init?(_ bits: EnableBits) {
      guard let api = bits.api.value, let apk = bits.apk.value else { return nil }
      code = UInt8(api | apk << 1)
    }
    var bits: EnableBits {
      EnableBits(api: Bit(code & 1 != 0), apk: Bit(code & 2 != 0))
    }
    static let clear = Pair(code: 0)
    static let all = (0..<4).map { Pair(code: $0) }
  }

  /// How far its thread is, as far as that decides what comes next.
  package enum Place: Hashable {
    /// Not loaded.
    case out
    /// Loaded, in the host, no trap waiting for an answer.
    case loop
    /// In the guest; and behind guest exit, what it exited for not told yet.
    case guest, ran
    /// EL2 left a ptrauth trap to the host: in the guest, and behind guest exit.
    case refused, returned
    /// It took a ptrauth trap, and the host's handler is before this line of it; loaded or not.
    case handler(Int, isLoaded: Bool)
    /// It took a ptrauth trap that nobody answers: an SError was pending. Loaded or not.
    case spared(isLoaded: Bool)

    /// The lines of a handler that a world has room for.
    static let lineLimit = 4

    package var code: Int {
      switch self {
      case .out: 0
      case .loop: 1
      case .guest: 2
      case .ran: 3
      case .spared(let isLoaded): isLoaded ? 4 : 5
      case .refused: 6
      case .returned: 7
      case .handler(let line, let isLoaded): 8 + 2 * line + (isLoaded ? 0 : 1)
      }
    }

    package static let all: [Place] =
      [
        .out, .loop, .guest, .ran, .spared(isLoaded: true), .spared(isLoaded: false), .refused,
        .returned,
      ]
      + (0..<lineLimit).flatMap { [handler($0, isLoaded: true), handler($0, isLoaded: false)] }

    var isInGuest: Bool {
      switch self {
      case .guest, .ran, .refused, .returned: true
      default: false
      }
    }

    /// The same, loaded; or not.
    func loaded(_ isLoaded: Bool) -> Place {
      switch self {
      case .out, .loop: isLoaded ? .loop : .out
      case .guest, .ran, .refused, .returned: self
      case .handler(let line, _): .handler(line, isLoaded: isLoaded)
      case .spared: .spared(isLoaded: isLoaded)
      }
    }
  }

  init(hasFeature: Bool, shadow: Pair = .clear, live: Pair = .clear, place: Place = .out) {
    self.hasFeature = hasFeature
    self.shadow = shadow
    self.live = place.isInGuest ? live : .clear
    self.place = place
  }

  // MARK: Its number

  static let count = 2 * 4 * 4 * 16

  package var code: Int {
    (place.code * 4 + Int(live.code)) * 8 + Int(shadow.code) * 2 + (hasFeature ? 1 : 0)
  }

  package init(code: Int) {
    hasFeature = code & 1 != 0
    shadow = Pair(code: UInt8(code / 2 % 4))
    live = Pair(code: UInt8(code / 8 % 4))
    place = Place.all[min(code / 32, Place.all.count - 1)]
  }

  package func at(_ place: Place) -> VCPUWorld {
    VCPUWorld(hasFeature: hasFeature, shadow: shadow, live: live, place: place)
  }
}
