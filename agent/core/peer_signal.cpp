#include "core/peer_signal.hpp"

#include "base/ptr.hpp"
#include "core/json_reader.hpp"

namespace p2p {

namespace {

constexpr char kWhat[] = "peer's signaling message";
constexpr std::size_t kMaxAttemptBytes = 64;
constexpr std::size_t kMaxCandidateBytes = 512;
constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::size_t kMaxRelays = 8, kMaxAddressBytes = 64;
constexpr std::size_t kMaxDataBytes = 32 * 1024;

struct KindName {
  PeerSignal::Kind kind;
  const char *name;
};
constexpr KindName kKinds[] = {
    {PeerSignal::Kind::hello, "hello"},
    {PeerSignal::Kind::candidate, "candidate"},
    {PeerSignal::Kind::candidates_done, "candidates-done"},
    {PeerSignal::Kind::path, "path"},
    {PeerSignal::Kind::bye, "bye"},
};

// Only what a peer may tell us; anything else of its making is a plain failure.
struct CodeName {
  P2pError code;
  const char *name;
};
constexpr CodeName kCodes[] = {
    {P2P_ERROR_CLOSED, "closed"},
    {P2P_ERROR_REFUSED, "refused"},
    {P2P_ERROR_NOT_AUTHORIZED, "not-authorized"},
    {P2P_ERROR_UNREACHABLE, "unreachable"},
    {P2P_ERROR_NOT_FOUND, "unknown-session"},
    {P2P_ERROR_FAILED, "failed"},
};

const char *
kind_name (PeerSignal::Kind kind) {
  for (const KindName &entry : kKinds)
    if (entry.kind == kind) return entry.name;
  return "";
}

const char *
code_name (P2pError code) {
  for (const CodeName &entry : kCodes)
    if (entry.code == code) return entry.name;
  return "failed";
}

P2pError
code_from_name (const std::string &name) {
  for (const CodeName &entry : kCodes)
    if (name == entry.name) return entry.code;
  return P2P_ERROR_FAILED;
}

std::string
to_json (const PeerSignal &signal) {
  JsonWriter writer;
  writer.text ("type", kind_name (signal.kind)).text ("attempt", signal.attempt);
  if (!signal.in_reply_to.empty ()) writer.text ("in-reply-to", signal.in_reply_to);
  if (!signal.session.empty ()) writer.text ("session", signal.session);
  switch (signal.kind) {
    case PeerSignal::Kind::hello:
      if (signal.config) writer.object ("config", network_config_to_json (*signal.config));
      if (signal.new_transport)
        writer.flag ("new-transport", true).text ("transport", std::to_string (signal.transport));
      if (!signal.without_relays.empty ()) writer.texts ("without-relays", signal.without_relays);
      break;
    case PeerSignal::Kind::candidate:
      writer.text ("candidate", signal.candidate);
      break;
    case PeerSignal::Kind::candidates_done:
      break;
    case PeerSignal::Kind::path: {
      const UniqueChars base64 (g_base64_encode (
          reinterpret_cast<const guchar *> (signal.data.data ()), signal.data.size ()));
      writer.text ("source", signal.source).text ("data", base64.get ());
      break;
    }
    case PeerSignal::Kind::bye:
      writer.text ("code", code_name (signal.code)).text ("text", signal.text);
      break;
  }
  return writer.finish ();
}

Result<PeerSignal>
from_json (const std::string &json) {
  auto reader = JsonReader::parse (json, kWhat);
  if (!reader) return reader.error ();
  auto type = reader->text ("type", kMaxNameBytes);
  if (!type) return type.error ();
  PeerSignal signal;
  bool known = false;
  for (const KindName &entry : kKinds)
    if (*type == entry.name) {
      signal.kind = entry.kind;
      known = true;
    }
  if (!known) return reader->malformed ("type", "is not one that this version knows");

  auto attempt = reader->text ("attempt", kMaxAttemptBytes);
  if (!attempt) return attempt.error ();
  signal.attempt = std::move (*attempt);
  signal.in_reply_to = reader->text_or ("in-reply-to", "");
  signal.session = reader->text_or ("session", "");

  switch (signal.kind) {
    case PeerSignal::Kind::hello: {
      auto nested = reader->object_text ("config");
      if (!nested) return nested.error ();
      auto config = network_config_from_json (*nested);
      if (!config) return config.error ();
      if (config->attempt != signal.attempt)
        return reader->malformed ("config", "is of another attempt");
      signal.config = std::move (*config);
      signal.new_transport = reader->flag_or ("new-transport", false);
      signal.transport = g_ascii_strtoull (reader->text_or ("transport", "").c_str (), nullptr, 10);
      if (reader->has ("without-relays")) {
        auto relays = reader->texts ("without-relays", kMaxRelays, kMaxAddressBytes);
        if (!relays) return relays.error ();
        signal.without_relays = std::move (*relays);
      }
      break;
    }
    case PeerSignal::Kind::candidate: {
      auto candidate = reader->text ("candidate", kMaxCandidateBytes);
      if (!candidate) return candidate.error ();
      signal.candidate = std::move (*candidate);
      break;
    }
    case PeerSignal::Kind::candidates_done:
      break;
    case PeerSignal::Kind::path: {
      auto source = reader->text ("source", kMaxNameBytes);
      auto data = reader->text ("data", kMaxDataBytes);
      if (!source) return source.error ();
      if (!data) return data.error ();
      gsize size = 0;
      const std::unique_ptr<guchar, GFree> raw (g_base64_decode (data->c_str (), &size));
      signal.source = std::move (*source);
      signal.data.assign (reinterpret_cast<const char *> (raw.get ()), size);
      break;
    }
    case PeerSignal::Kind::bye:
      signal.code = code_from_name (reader->text_or ("code", ""));
      // The cut may go through a character.
      signal.text = valid_utf8 (reader->text_or ("text", "").substr (0, kMaxTextBytes));
      break;
  }
  return signal;
}

Error
unequal_secrets (const std::string &from, bool ours) {
  return {P2P_ERROR_NOT_AUTHORIZED,
          ours ? "\"" + from + "\" has no secret, but this side has one: give both the same."
               : "\"" + from + "\" has a secret, but this side has none: give both the same."};
}

}  // namespace

std::string
encode_peer_signal (const PeerSignal &signal, const SecretKey *secret, const std::string &from,
                    const std::string &to) {
  const std::string json = to_json (signal);
  if (!secret) return JsonWriter ().object ("plain", json).finish ();
  return JsonWriter ().text ("sealed", secret->seal (from, to, json)).finish ();
}

Result<PeerSignal>
decode_peer_signal (const std::string &text, const SecretKey *secret, const std::string &from,
                    const std::string &to) {
  auto envelope = JsonReader::parse (text, kWhat);
  if (!envelope) return envelope.error ();
  if (envelope->has ("sealed")) {
    if (!secret) return unequal_secrets (from, false);
    auto sealed = envelope->text ("sealed", kMaxDataBytes * 2);
    if (!sealed) return sealed.error ();
    auto json = secret->open (from, to, *sealed);
    if (!json) return json.error ();
    auto opened = from_json (*json);
    if (opened) opened->sealed = true;
    return opened;
  }
  auto plain = envelope->object_text ("plain");
  if (!plain) return plain.error ();
  auto signal = from_json (*plain);
  if (signal && secret && signal->kind != PeerSignal::Kind::bye)
    return unequal_secrets (from, true);
  return signal;
}

}  // namespace p2p
