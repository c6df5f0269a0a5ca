#include "core/generation.hpp"

#include "base/loop_thread.hpp"

namespace p2p {

Result<std::unique_ptr<Generation>>
Generation::create (Host &host, const Make &make) {
  auto generation = std::make_unique<Generation> (host);
  auto attempt = make (generation.get ());
  if (!attempt) return attempt.error ();
  generation->attempt_ = std::move (*attempt);
  return generation;
}

Generation::~Generation () {
  if (!attempt_) return;
  attempt_->set_observer (nullptr);
  retire (std::move (attempt_));
}

std::string
Generation::remote_id () const {
  return started () ? attempt_->remote_config ()->attempt : std::string ();
}

PeerSignal
Generation::hello (const std::string &in_reply_to) const {
  PeerSignal hello;
  hello.kind = PeerSignal::Kind::hello;
  hello.attempt = id ();
  hello.in_reply_to = in_reply_to;
  hello.config = attempt_->local_config ();
  return hello;
}

Status
Generation::start (const NetworkConfig &remote, const Attempt::Start &how, bool quiet) {
  quiet_ = quiet;
  return attempt_->start (remote, how);
}

bool
Generation::receive (const PeerSignal &signal) {
  if (signal.kind == PeerSignal::Kind::candidate)
    return !attempt_->add_remote_candidate (signal.candidate);
  if (signal.kind == PeerSignal::Kind::candidates_done)
    attempt_->remote_gathering_done ();
  else
    attempt_->path_message (signal.source, ByteView (std::string_view (signal.data)));
  return true;
}

std::uint64_t
Generation::add_candidates (const NetworkConfig &more) {
  std::uint64_t malformed = 0;
  for (const std::string &candidate : more.candidates)
    if (attempt_->add_remote_candidate (candidate)) ++malformed;
  if (more.complete) attempt_->remote_gathering_done ();
  return malformed;
}

void
Generation::attempt_candidate (const std::string &sdp) {
  host_->generation_config_changed (*this);
  if (quiet_) return;
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::candidate;
  signal.attempt = id ();
  signal.candidate = sdp;
  host_->generation_says (signal);
}

void
Generation::attempt_gathered () {
  host_->generation_config_changed (*this);
  if (quiet_) return;
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::candidates_done;
  signal.attempt = id ();
  host_->generation_says (signal);
}

void
Generation::attempt_path_message (const std::string &source, ByteView message) {
  PeerSignal signal;
  signal.kind = PeerSignal::Kind::path;
  signal.attempt = id ();
  signal.source = source;
  signal.data = message.to_string ();
  host_->generation_says (signal);
}

void
Generation::attempt_warning (const Error &warning) {
  host_->generation_warning (warning);
}

void
Generation::attempt_won (Carrier carrier) {
  host_->generation_connected (*this, std::move (carrier));
}

void
Generation::attempt_path (Path &path) {
  host_->generation_path (*this, path);
}

void
Generation::attempt_lost (const Error &error) {
  host_->generation_lost (*this, error);
}

void
Generation::attempt_path_changed () {
  host_->generation_pair_changed (*this);
}

void
Generation::attempt_relay_back () {
  host_->generation_relay_back (*this);
}

}  // namespace p2p
