#include "core/session_record.hpp"

#include <algorithm>

#include "core/json_reader.hpp"
#include "core/session_name.hpp"

namespace p2p {

namespace {

constexpr int kRecordVersion = 1;
constexpr std::size_t kMaxTextBytes = 256;

template <std::size_t kBytes>
bool
parse_hex (const std::string &text, std::array<std::uint8_t, kBytes> &bytes) {
  if (text.size () != 2 * kBytes) return false;
  for (std::size_t i = 0; i < kBytes; ++i) {
    const int high = g_ascii_xdigit_value (text[2 * i]);
    const int low = g_ascii_xdigit_value (text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t> (high << 4 | low);
  }
  return true;
}

// Numbers of 64 bits as text: JSON's may lose their last digits.
bool
parse_number (const std::string &text, std::uint64_t &value) {
  guint64 parsed = 0;
  if (!g_ascii_string_to_unsigned (text.c_str (), 10, 0, G_MAXUINT64, &parsed, nullptr))
    return false;
  value = parsed;
  return true;
}

std::string
pair_to_json (const SessionRecord &record) {
  return JsonWriter ()
      .text ("local-address", record.pair->local_address)
      .text ("local-port", std::to_string (record.pair->local_port))
      .text ("remote-address", record.pair->remote_address)
      .text ("remote-port", std::to_string (record.pair->remote_port))
      .finish ();
}

Result<IceResume>
pair_from_json (const std::string &json) {
  auto reader = JsonReader::parse (json, "kept pair");
  if (!reader) return reader.error ();
  IceResume pair;
  std::uint64_t local_port = 0, remote_port = 0;
  pair.local_address = reader->text_or ("local-address", "");
  pair.remote_address = reader->text_or ("remote-address", "");
  if (pair.local_address.empty () || pair.remote_address.empty () ||
      !parse_number (reader->text_or ("local-port", ""), local_port) || local_port == 0 ||
      local_port > G_MAXUINT16 ||
      !parse_number (reader->text_or ("remote-port", ""), remote_port) || remote_port == 0 ||
      remote_port > G_MAXUINT16)
    return reader->malformed ("pair", "is not of two addresses and ports");
  pair.local_port = static_cast<std::uint16_t> (local_port);
  pair.remote_port = static_cast<std::uint16_t> (remote_port);
  return pair;
}

std::vector<std::string>
relays_to_json (const std::vector<TurnRelayState> &relays) {
  std::vector<std::string> all;
  for (const TurnRelayState &relay : relays)
    for (const turn::Address &relayed : relay.relayed)
      all.push_back (JsonWriter ()
                         .text ("server", relay.server)
                         .text ("realm", relay.realm)
                         .text ("relayed", relayed.text ())
                         .text ("mapped", relay.mapped ? relay.mapped->text () : "")
                         .number ("lifetime-s", relay.lifetime / kSecond)
                         .number ("expires-in-s", relay.left / kSecond)
                         .text ("lost", relay.lost ? relay.lost->message : "")
                         .finish ());
  return all;
}

NetworkConfig
without_password (NetworkConfig config) {
  config.pwd.clear ();
  return config;
}

}  // namespace

// Beside the record, what of the channels is known now.
std::string
session_state_to_json (const SessionRecord &record, const Session &session,
                       const std::vector<TurnRelayState> &relays) {
  std::vector<std::string> channels;
  for (const Channel *channel : session.channels ()) {
    const ChannelOptions &options = channel->options ();
    const ChannelPositions at = channel->positions ();
    channels.push_back (JsonWriter ()
                            .text ("name", channel->name ())
                            .flag ("ordered", options.ordered)
                            .flag ("reliable", options.reliable ())
                            .flag ("durable", options.durable)
                            .flag ("manual-confirm", options.manual_confirm)
                            .number ("priority", options.priority)
                            .text ("protocol", options.protocol)
                            .text ("sent", std::to_string (at.sent))
                            .text ("sent-confirmed", std::to_string (at.sent_confirmed))
                            .text ("received", std::to_string (at.received))
                            .text ("received-confirmed", std::to_string (at.received_confirmed))
                            .finish ());
  }
  std::string record_json = session_record_to_json (record, Secrets::hidden);
  return JsonWriter ()
      .object ("session", record_json)
      .objects ("relays", relays_to_json (relays))
      .objects ("channels", channels)
      .finish ();
}

std::string
session_record_to_json (const SessionRecord &record, Secrets secrets) {
  const bool shown = secrets == Secrets::shown;
  JsonWriter out;
  out.number ("version", kRecordVersion)
      .text ("peer", record.peer)
      .text ("peer-fingerprint", record.peer_fingerprint)
      .text ("own-fingerprint", record.own_fingerprint)
      .text ("session", session_name_of (record.session))
      .text ("epoch", std::to_string (record.epoch))
      .text ("memory-epoch", std::to_string (record.memory_epoch))
      .flag ("incoming", record.incoming)
      .text ("transport", std::to_string (record.transport_name))
      .text ("local-candidate", record.local_candidate)
      .text ("remote-candidate", record.remote_candidate)
      .object ("local",
               network_config_to_json (shown ? record.local : without_password (record.local)))
      .object ("remote",
               network_config_to_json (shown ? record.remote : without_password (record.remote)));
  if (shown) out.text ("secret", hex_of ({record.secret.data (), record.secret.size ()}));
  if (record.pair) out.object ("pair", pair_to_json (record));
  return out.finish ();
}

Result<SessionRecord>
session_record_from_json (const std::string &json) {
  auto reader = JsonReader::parse (json, "kept session");
  if (!reader) return reader.error ();
  SessionRecord record;
  Status failed;
  const auto take = [&] (const char *field) {
    auto value = reader->text (field, kMaxTextBytes);
    if (value) return *value;
    if (!failed) failed = value.error ();
    return std::string ();
  };
  const auto number = [&] (const char *field, std::uint64_t &into) {
    const std::string text = take (field);
    if (!failed && !parse_number (text, into)) failed = reader->malformed (field, "is no number");
  };
  record.peer = take ("peer");
  record.peer_fingerprint = take ("peer-fingerprint");
  record.own_fingerprint = take ("own-fingerprint");
  const std::string session = take ("session"), secret = take ("secret");
  number ("epoch", record.epoch);
  number ("memory-epoch", record.memory_epoch);
  number ("transport", record.transport_name);
  if (failed) return *failed;
  if (!parse_hex (session, record.session)) return reader->malformed ("session", "is no id");
  if (!parse_hex (secret, record.secret)) return reader->malformed ("secret", "is damaged");
  if (record.epoch == 0 || record.memory_epoch == 0 || record.memory_epoch > record.epoch)
    return reader->malformed ("epoch", "is before its own beginning");
  record.incoming = reader->flag_or ("incoming", false);
  record.local_candidate = reader->text_or ("local-candidate", "");
  record.remote_candidate = reader->text_or ("remote-candidate", "");
  for (auto [field, into] : {std::pair ("local", &record.local), {"remote", &record.remote}}) {
    auto text = reader->object_text (field);
    if (!text) return text.error ();
    auto config = network_config_from_json (*text);
    if (!config) return config.error ();
    *into = std::move (*config);
  }
  if (!reader->has ("pair")) return record;
  auto text = reader->object_text ("pair");
  if (!text) return text.error ();
  auto pair = pair_from_json (*text);
  if (!pair) return pair.error ();
  record.pair = std::move (*pair);
  return record;
}

}  // namespace p2p
