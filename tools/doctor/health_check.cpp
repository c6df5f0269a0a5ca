#include "doctor/health_check.hpp"

#include <libsoup/soup.h>

namespace p2p::doctor {

ClockFound
compare_clocks (std::int64_t date_s, TimeUs sent_us, TimeUs received_us) {
  return {{}, sent_us - (date_s + 1) * kSecond, received_us - date_s * kSecond};
}

namespace {

std::optional<std::int64_t>
date_of (SoupMessage *message) {
  const char *text =
      soup_message_headers_get_one (soup_message_get_response_headers (message), "Date");
  GDateTime *date = text ? soup_date_time_new_from_http_string (text) : nullptr;
  if (!date) return std::nullopt;
  const std::int64_t seconds = g_date_time_to_unix (date);
  g_date_time_unref (date);
  return seconds;
}

}  // namespace

struct HealthCheck::State {
  Ref<SoupSession> session;
  Ref<SoupMessage> message;
  Ref<GCancellable> cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
  std::string name;
  gint64 began_us = 0;  // monotonic
  gint64 sent_us = 0;   // of the clock that people set
  Done done;

  void answered (GInputStream *body, const GError *error);
};

void
HealthCheck::State::answered (GInputStream *body, const GError *error) {
  Outcome outcome;
  if (error) {
    outcome.problem = std::string ("It cannot be reached: ") + error->message + ".";
  } else {
    const guint status = soup_message_get_status (message.get ());
    if (status == SOUP_STATUS_OK)
      outcome.took_us = g_get_monotonic_time () - began_us;
    else
      outcome.problem = "It answers HTTP " + std::to_string (status) +
                        " where a rendezvous server tells its health; check host and port.";
    if (const auto date = date_of (message.get ())) {
      outcome.clock = compare_clocks (*date, sent_us, g_get_real_time ());
      outcome.clock->source = name;
    }
  }
  // What it says besides does not matter here.
  if (body) g_object_unref (body);
  if (const auto last = std::exchange (done, nullptr)) last (outcome);
}

HealthCheck::HealthCheck (const std::string &host, std::uint16_t port, bool tls, Done done)
    : state_ (std::make_shared<State> ()) {
  State &state = *state_;
  const UniqueChars uri (g_uri_join (G_URI_FLAGS_NONE, tls ? "https" : "http", nullptr,
                                     host.c_str (), port, "/healthz", nullptr, nullptr));
  state.session = Ref<SoupSession>::adopt (soup_session_new ());
  state.message = Ref<SoupMessage>::adopt (soup_message_new ("GET", uri.get ()));
  state.name = host + ":" + std::to_string (port);
  state.began_us = g_get_monotonic_time ();
  state.sent_us = g_get_real_time ();
  state.done = std::move (done);
  const GAsyncReadyCallback callback = [] (GObject *source, GAsyncResult *result, gpointer data) {
    const std::unique_ptr<std::shared_ptr<State>> mine (
        static_cast<std::shared_ptr<State> *> (data));
    GError *raw = nullptr;
    GInputStream *body = soup_session_send_finish (SOUP_SESSION (source), result, &raw);
    const UniqueError error (raw);
    (*mine)->answered (body, error.get ());
  };
  soup_session_send_async (state.session.get (), state.message.get (), G_PRIORITY_DEFAULT,
                           state.cancellable.get (), callback, new std::shared_ptr<State> (state_));
}

HealthCheck::~HealthCheck () {
  state_->done = nullptr;
  g_cancellable_cancel (state_->cancellable.get ());
}

}  // namespace p2p::doctor
