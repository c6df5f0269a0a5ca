// How a connection is kept in the agent's store, and made anew from it.
#include "base/loop_thread.hpp"
#include "core/connection.hpp"
#include "core/session_name.hpp"

namespace p2p {

void
Connection::begin_keeping () {
  const auto agent = agent_.lock ();
  if (!agent || !agent->keeps ()) return;
  keeper_ = std::make_unique<Keeper> (agent->store (), clock_, peer_);
  keeper_->begin ();
  keeper_->set_session (session_.get ());
  update_record ();
}

void
Connection::update_record () {
  const auto agent = agent_.lock ();
  if (!agent || !keeper_ || !session_ || !line_ || removed_) return;
  const auto memory = line_->memory ();
  if (!memory) return;
  SessionRecord record;
  record.peer = peer_;
  record.peer_fingerprint = snapshot ().peer_fingerprint;
  record.own_fingerprint = agent->own_fingerprint ();
  record.session = session_->config ().id;
  record.secret = secret_;
  record.epoch = session_->config ().epoch;
  record.memory_epoch =
      session_->config ().memory_epoch > 0 ? session_->config ().memory_epoch : record.epoch;
  record.incoming = incoming_;
  record.local = memory->local;
  record.remote = memory->remote;
  record.pair = memory->pair;
  record.transport_name = memory->transport_name;
  const PathInfo path = line_->path ();
  record.local_candidate = path.local;
  record.remote_candidate = path.remote;
  keeper_->set_record (record);
}

Status
Connection::restore (const SessionRecord &record, const std::vector<MemoryItem> &items) {
  const auto agent = agent_.lock ();
  if (!agent || removed_) return Error{P2P_ERROR_CLOSED, "The connection is closed."};
  SessionConfig config;
  config.id = record.session;
  config.epoch = agent->epoch ();
  config.memory_epoch = record.memory_epoch;
  config.kept = true;
  config.max_message_bytes = max_message_bytes_;
  if (config.epoch <= record.epoch)
    return Error{P2P_ERROR_FENCED,
                 "The session with \"" + peer_ +
                     "\" was kept by a later process than this one: the store was set back to an "
                     "older copy. It is not restored."};
  auto session = Session::restore (config, *this, items);
  if (!session) return session.error ();
  session_ = std::move (*session);
  session_name_ = session_name_of (config.id);
  secret_ = record.secret;
  incoming_ = record.incoming;
  asked_at_ = established_at_ = clock_.now ();
  peer_epoch_ = session_->peer_epoch ();
  Line::Config below;
  below.watch.settings = agent->liveness_settings ();
  below.watch.secret = secret_;
  below.watch.client = is_client ();
  below.watch.epoch = config.epoch;
  below.session = session_name_;
  below.network = agent->network ();
  below.builds_standby = agent->builds_standby ();
  Line::Host &host = *this;
  line_ = std::make_unique<Line> (below, clock_, host);
  keeper_ = std::make_unique<Keeper> (agent->store (), clock_, peer_);
  keeper_->set_session (session_.get ());
  SessionRecord now = record;
  now.epoch = config.epoch;
  keeper_->set_record (now);
  change ([&] (ConnectionSnapshot &s) {
    s.peer_fingerprint = record.peer_fingerprint;
    s.local_config = record.local;
    s.remote_config = record.remote;
    s.authentication = authentication (false);
  });
  for (Channel *channel : session_->channels ()) {
    std::shared_ptr<ChannelPort> port;
    {
      const MutexLock lock (mutex_);
      auto &slot = ports_[channel->name ()];
      if (!slot || !slot->is_open ())
        slot = make_packed<ChannelPort> (channel->name (), channel->options (), max_message_bytes_);
      port = slot;
    }
    const auto pump = add_pump (port, channel->by_peer ());
    for (Entry &entry : entries_)
      if (entry.pump == pump) entry.channel = channel;
    pump->restored ();
    pump->attach (*channel, session_->peer_max_message_bytes ());
    // The process that was told of it is gone, and the peer does not say it again.
    if (channel->positions ().received_all) pump->ended_by_peer ();
    if (const auto observer = observer_.lock ())
      if (channel->by_peer ()) observer->connection_channel_opened (port);
  }
  // Those that the application has asked for meanwhile.
  use_channels ();
  line_->restore ({record.local, record.remote, record.pair, record.transport_name});
  return {};
}

void
Connection::abandon (const Error &error) {
  if (removed_) return;
  if (keeper_) keeper_->set_session (nullptr);
  keeper_.reset ();
  remove (error, error.message, false);
}

std::string
Connection::session_state () const {
  std::string state;
  core_loop ().run_sync ([&] {
    if (!keeper_ || !keeper_->record () || !session_ || !line_) return;
    state = session_state_to_json (*keeper_->record (), *session_, line_->relays ());
  });
  return state;
}

}  // namespace p2p
