#include <json-glib/json-glib.h>

#include "base/ptr.hpp"
#include "doctor/report.hpp"

namespace p2p::doctor {

namespace {

// Members of an object, and elements of an array, where the builder stands.
class Writer {
 public:
  Writer () : builder_ (Ref<JsonBuilder>::adopt (json_builder_new ())) {}

  Writer &name (const char *member) {
    json_builder_set_member_name (builder_.get (), member);
    return *this;
  }
  void text (const std::string &value) {
    json_builder_add_string_value (builder_.get (), value.c_str ());
  }
  void number (std::int64_t value) { json_builder_add_int_value (builder_.get (), value); }
  void real (double value) { json_builder_add_double_value (builder_.get (), value); }
  void truth (bool value) { json_builder_add_boolean_value (builder_.get (), value); }
  void nothing () { json_builder_add_null_value (builder_.get ()); }
  void address (const std::optional<Address> &value) {
    if (value)
      text (value->text ());
    else
      nothing ();
  }
  template <class Number>
  void number (const std::optional<Number> &value) {
    if (value)
      number (static_cast<std::int64_t> (*value));
    else
      nothing ();
  }

  template <class Fill>
  void object (Fill fill) {
    json_builder_begin_object (builder_.get ());
    fill ();
    json_builder_end_object (builder_.get ());
  }
  template <class All, class Add>
  void array (const All &all, Add add) {
    json_builder_begin_array (builder_.get ());
    for (const auto &one : all) add (one);
    json_builder_end_array (builder_.get ());
  }
  void texts (const std::vector<std::string> &all) {
    array (all, [this] (const std::string &one) { text (one); });
  }

  std::string take () {
    JsonNode *root = json_builder_get_root (builder_.get ());
    const UniqueChars text (json_to_string (root, TRUE));
    json_node_unref (root);
    return std::string (text.get ()) + "\n";
  }

 private:
  const Ref<JsonBuilder> builder_;
};

void
write_machine (Writer &json, const Findings &findings) {
  const MachineFound &machine = findings.machine;
  json.object ([&] {
    json.name ("addresses").array (machine.network.addresses, [&] (const NetworkAddress &one) {
      json.object ([&] {
        json.name ("interface").text (one.interface_name);
        json.name ("address").text (one.address);
        json.name ("loopback").truth (one.loopback);
        json.name ("link-local").truth (one.link_local);
      });
    });
    json.name ("ipv6").text (ipv6_state (findings));
    json.name ("udp-segmentation").truth (machine.udp_segmentation);
    json.name ("udp-coalescing").truth (machine.udp_coalescing);
  });
}

void
write_relay (Writer &json, const RelayFound &relay) {
  json.object ([&] {
    json.name ("addresses").array (relay.relayed, [&] (const Address &one) {
      json.text (one.text ());
    });
    json.name ("largest-datagram-bytes").number (relay.largest_datagram_bytes);
    if (!relay.note.empty ()) json.name ("note").text (relay.note);
    if (!relay.burst) return;
    json.name ("burst").object ([&] {
      json.name ("mbit-per-s").real (relay.burst->megabits_per_s ());
      json.name ("received-bytes").number (static_cast<std::int64_t> (relay.burst->bytes));
      json.name ("sent-datagrams").number (static_cast<std::int64_t> (relay.burst->sent));
      json.name ("lost-datagrams").number (static_cast<std::int64_t> (relay.burst->lost));
      json.name ("took-us").number (relay.burst->took_us);
    });
  });
}

void
write_server (Writer &json, const ServerFound &server) {
  json.object ([&] {
    json.name ("kind").text (kind_name (server.kind));
    json.name ("uri").text (server.uri);
    json.name ("questions").array (server.attempts, [&] (const Attempt &attempt) {
      json.object ([&] {
        json.name ("protocol").text (attempt.protocol);
        json.name ("transport").text (attempt.transport);
        json.name ("asked-for").truth (!attempt.extra);
        json.name ("answers").truth (attempt.took_us.has_value ());
        json.name ("took-us").number (attempt.took_us);
        if (!attempt.took_us) json.name ("problem").text (attempt.problem);
      });
    });
    json.name ("route-mtu-bytes").number (server.route_mtu_bytes);
    if (server.relay) {
      json.name ("relay");
      write_relay (json, *server.relay);
    }
  });
}

void
write_nat (Writer &json, const NatFound &nat) {
  json.object ([&] {
    json.name ("family").text (family_name (nat.family));
    json.name ("name").text (common_name (nat.behaviour));
    json.name ("translated");
    if (nat.behaviour.translated)
      json.truth (*nat.behaviour.translated);
    else
      json.nothing ();
    json.name ("mapping").text (mapping_name (nat.behaviour.mapping));
    json.name ("filtering").text (filtering_name (nat.behaviour.filtering));
    json.name ("local").address (nat.local);
    json.name ("mapped").address (nat.mapped);
  });
}

void
write_clock (Writer &json, const std::optional<ClockFound> &clock) {
  if (!clock) {
    json.nothing ();
    return;
  }
  json.object ([&] {
    json.name ("source").text (clock->source);
    json.name ("ahead-at-least-us").number (clock->least_us);
    json.name ("ahead-at-most-us").number (clock->most_us);
  });
}

}  // namespace

std::string
report_json (const Findings &findings, const Verdict &verdict) {
  Writer json;
  json.object ([&] {
    json.name ("machine");
    write_machine (json, findings);
    json.name ("servers").array (findings.servers,
                                 [&] (const ServerFound &server) { write_server (json, server); });
    json.name ("udp").text (udp_name (verdict.udp));
    json.name ("nats").array (findings.nats, [&] (const NatFound &nat) { write_nat (json, nat); });
    json.name ("clock");
    write_clock (json, findings.clock);
    json.name ("reach").text (reach_name (verdict.reach));
    json.name ("problems").texts (verdict.problems);
    json.name ("advice").texts (verdict.advice);
  });
  return json.take ();
}

}  // namespace p2p::doctor
