#include <algorithm>
#include <cstdlib>

#include "base/ptr.hpp"
#include "doctor/report.hpp"

namespace p2p::doctor {

namespace {

constexpr int kNameWidth = 14;

std::string
milliseconds (TimeUs span) {
  const UniqueChars text (g_strdup_printf ("%.1f ms", static_cast<double> (span) / kMillisecond));
  return text.get ();
}

std::string
seconds (TimeUs span) {
  const UniqueChars text (g_strdup_printf ("%.1f s", static_cast<double> (span) / kSecond));
  return text.get ();
}

class Table {
 public:
  void heading (const char *text) {
    if (!text_.empty ()) text_ += '\n';
    text_ += std::string (text) + '\n';
  }
  // A line of the same name as the one before has none.
  void line (const std::string &name, const std::string &what) {
    text_ += "  " + name;
    if (name.size () < kNameWidth) text_ += std::string (kNameWidth - name.size (), ' ');
    text_ += " " + what + '\n';
  }
  void sentence (const std::string &text) { text_ += "  " + text + '\n'; }
  std::string take () { return std::move (text_); }

 private:
  std::string text_;
};

void
add_machine (Table &table, const Findings &findings) {
  const MachineFound &machine = findings.machine;
  table.heading ("This machine");
  bool any = false;
  for (const NetworkAddress &one : machine.network.addresses) {
    if (one.loopback) continue;
    table.line (any ? "" : "addresses", one.interface_name + "  " + one.address);
    any = true;
  }
  if (!any) table.line ("addresses", "none but the loopback one");
  table.line ("IPv6", ipv6_state (findings));
  table.line ("UDP in trains", std::string (machine.udp_segmentation ? "sends" : "does not send") +
                                   (machine.udp_coalescing ? ", receives" : ", does not receive"));
}

std::string
describe (const RelayFound &relay) {
  std::string out = "from";
  for (const Address &address : relay.relayed) out += " " + address.text ();
  if (relay.largest_datagram_bytes)
    out += ", datagrams up to " + std::to_string (*relay.largest_datagram_bytes) + " bytes";
  if (relay.burst) {
    const UniqueChars rate (g_strdup_printf (", %.1f Mbit/s", relay.burst->megabits_per_s ()));
    out += rate.get ();
    if (relay.burst->sent > 0) {
      const UniqueChars loss (
          g_strdup_printf (" (%.1f %% lost)", 100.0 * static_cast<double> (relay.burst->lost) /
                                                  static_cast<double> (relay.burst->sent)));
      out += loss.get ();
    }
  }
  return out;
}

void
add_servers (Table &table, const Findings &findings) {
  if (findings.servers.empty ()) return;
  table.heading ("Servers");
  for (const ServerFound &server : findings.servers) {
    table.sentence (server.uri);
    for (const Attempt &attempt : server.attempts) {
      const std::string name = "  " + attempt.protocol + "/" + attempt.transport;
      if (attempt.took_us)
        table.line (name, "answers in " + milliseconds (*attempt.took_us));
      else if (!attempt.extra)
        table.line (name, "FAILED");
    }
    if (server.relay) {
      table.line ("  relay", describe (*server.relay));
      if (!server.relay->note.empty ()) table.line ("", server.relay->note);
    }
    if (server.route_mtu_bytes)
      table.line ("  path MTU",
                  std::to_string (*server.route_mtu_bytes) + " bytes, as far as the route knows");
  }
}

void
add_network (Table &table, const Findings &findings, const Verdict &verdict) {
  table.heading ("Network");
  table.line ("UDP", udp_name (verdict.udp));
  for (const NatFound &nat : findings.nats) {
    table.line (family_name (nat.family), common_name (nat.behaviour));
    if (nat.local && nat.mapped)
      table.line ("  seen as", nat.mapped->text () + ", sent from " + nat.local->text ());
    table.line ("  mapping", mapping_name (nat.behaviour.mapping));
    table.line ("  filtering", filtering_name (nat.behaviour.filtering));
  }
  if (!findings.clock) {
    table.line ("clock", "unknown: no server tells its time");
    return;
  }
  const ClockFound &clock = *findings.clock;
  const TimeUs least = std::abs (clock.least_us), most = std::abs (clock.most_us);
  if (clock.least_us <= 0 && clock.most_us >= 0)
    table.line ("clock",
                "as that of " + clock.source + ", to within " + seconds (std::max (least, most)));
  else
    table.line ("clock", seconds (std::min (least, most)) + " to " +
                             seconds (std::max (least, most)) +
                             (clock.least_us > 0 ? " ahead of " : " behind ") + clock.source);
}

const char *
reach_sentence (Reach reach) {
  switch (reach) {
    case Reach::unknown:
      return "Whether peers can be reached is not known.";
    case Reach::direct:
      return "Peers can be reached directly.";
    case Reach::relay:
      return "Peers can be reached through a relay.";
    case Reach::some:
      return "Only peers behind better NATs can be reached.";
    case Reach::none:
      return "No peer can be reached beyond this network.";
  }
  return "";
}

}  // namespace

const char *
kind_name (ServerFound::Kind kind) {
  switch (kind) {
    case ServerFound::Kind::stun:
      return "stun";
    case ServerFound::Kind::turn:
      return "turn";
    case ServerFound::Kind::rendezvous:
      return "rendezvous";
  }
  return "";
}

const char *
family_name (turn::Family family) {
  return family == turn::Family::ipv4 ? "IPv4" : "IPv6";
}

std::string
report_table (const Findings &findings, const Verdict &verdict) {
  Table table;
  add_machine (table, findings);
  add_servers (table, findings);
  add_network (table, findings, verdict);
  table.heading ("Verdict");
  table.sentence (reach_sentence (verdict.reach));
  for (const std::string &problem : verdict.problems) table.sentence ("FAILED: " + problem);
  for (const std::string &advice : verdict.advice) table.sentence (advice);
  return table.take ();
}

}  // namespace p2p::doctor
