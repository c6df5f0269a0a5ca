#include "options.hpp"

#include <cstdio>

#include "pattern.hpp"
#include "ptr.hpp"

namespace lab {

namespace {

// Properties that have an option of their own.
constexpr const char *kTimes[] = {"ping-interval", "ping-timeout", "peer-comeback-timeout",
                                  "idle-timeout"};
// Below the least that an agent can be set to take.
constexpr int kMaxMessageBytes = 1 << 20;

struct Raw {
  char *id = nullptr, *peer = nullptr, *secret = nullptr, *rendezvous = nullptr;
  char *stun = nullptr;
  char **turn = nullptr;
  char *times[G_N_ELEMENTS (kTimes)] = {};
  char **set = nullptr;
  gboolean unreliable = FALSE;

  ~Raw () {
    for (char *text : {id, peer, secret, rendezvous, stun}) g_free (text);
    for (char *text : times) g_free (text);
    g_strfreev (set);
    g_strfreev (turn);
  }
};

std::string
or_empty (const char *text) {
  return text ? text : "";
}

bool
take (const Raw &raw, Options &options) {
  options.id = or_empty (raw.id);
  options.peer = or_empty (raw.peer);
  options.secret = or_empty (raw.secret);
  if (raw.rendezvous) options.rendezvous = raw.rendezvous;
  options.stun = or_empty (raw.stun);
  for (char **one = raw.turn; one && *one; one++) options.turn.emplace_back (*one);
  options.unreliable = raw.unreliable;
  for (gsize i = 0; i < G_N_ELEMENTS (kTimes); i++)
    if (raw.times[i]) options.properties.emplace_back (kTimes[i], raw.times[i]);
  for (char **one = raw.set; one && *one; one++) {
    const std::string text = *one;
    const auto equals = text.find ('=');
    if (equals == std::string::npos) return false;
    options.properties.emplace_back (text.substr (0, equals), text.substr (equals + 1));
  }
  return !options.id.empty () && !options.peer.empty () && options.id != options.peer &&
         options.rate_kbit >= 0 && options.seconds >= 0 && options.messages >= 0 &&
         options.message_bytes >= static_cast<int> (kHeaderBytes) &&
         options.message_bytes <= kMaxMessageBytes;
}

}  // namespace

bool
parse_options (int argc, char **argv, Options &options) {
  Raw raw;
  const GOptionEntry entries[] = {
      {"id", 0, 0, G_OPTION_ARG_STRING, &raw.id, "Id of this peer", "ID"},
      {"peer", 0, 0, G_OPTION_ARG_STRING, &raw.peer, "Id of the other", "ID"},
      {"secret", 0, 0, G_OPTION_ARG_STRING, &raw.secret, "Shared with it", "SECRET"},
      {"rendezvous", 0, 0, G_OPTION_ARG_STRING, &raw.rendezvous, "Where they meet (local)", "URI"},
      {"stun", 0, 0, G_OPTION_ARG_STRING, &raw.stun, "STUN server", "URI"},
      {"turn", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.turn, "A TURN server", "URI"},
      {"rate-kbit", 0, 0, G_OPTION_ARG_INT, &options.rate_kbit,
       "Payload per second; 0: as fast as possible (800)", "KBIT"},
      {"message-bytes", 0, 0, G_OPTION_ARG_INT, &options.message_bytes,
       "Payload of a message (1000)", "BYTES"},
      {"seconds", 0, 0, G_OPTION_ARG_INT, &options.seconds,
       "How long to send, from the first connection on; 0: until SIGUSR1", "S"},
      {"messages", 0, 0, G_OPTION_ARG_INT, &options.messages, "How many to send; 0: no limit", "N"},
      {"unreliable", 0, 0, G_OPTION_ARG_NONE, &raw.unreliable,
       "A second channel, whose messages may be lost", nullptr},
      {"tell-gap-ms", 0, 0, G_OPTION_ARG_INT, &options.tell_gap_ms,
       "Tell each time in which nothing came for so long (100)", "MS"},
      {kTimes[0], 0, 0, G_OPTION_ARG_STRING, &raw.times[0], "Property of the agent", "MS"},
      {kTimes[1], 0, 0, G_OPTION_ARG_STRING, &raw.times[1], "Property of the agent", "MS"},
      {kTimes[2], 0, 0, G_OPTION_ARG_STRING, &raw.times[2], "Property of the agent", "MS"},
      {kTimes[3], 0, 0, G_OPTION_ARG_STRING, &raw.times[3], "Property of the agent", "MS"},
      {"set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw.set, "Any other property of the agent",
       "NAME=VALUE"},
      {}};
  GOptionContext *context =
      g_option_context_new ("- one of two peers that send to each other and check what comes");
  g_option_context_add_main_entries (context, entries, nullptr);
  GError *raw_error = nullptr;
  const bool parsed = g_option_context_parse (context, &argc, &argv, &raw_error);
  const UniqueError error (raw_error);
  g_option_context_free (context);
  if (!parsed) {
    std::fprintf (stderr, "lab-peer: %s\n", error->message);
    return false;
  }
  if (argc > 1 || !take (raw, options)) {
    std::fprintf (stderr,
                  "lab-peer: --id and --peer are needed and differ, a message has %zu bytes to "
                  "1 MiB, and --set takes NAME=VALUE. See --help.\n",
                  kHeaderBytes);
    return false;
  }
  return true;
}

}  // namespace lab
