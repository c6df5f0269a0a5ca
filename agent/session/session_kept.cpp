// What of a session outlives its process: which changes the keeper gets, and how a session is made
// anew of them.
#include "session/session_impl.hpp"

namespace p2p {

void
SessionImpl::set_keeper (SessionKeeper *keeper) {
  Entry entry (*this);
  keeper_ = keeper;
  keeper_told_ = keeper_urged_ = false;
}

void
SessionImpl::receiver_changed (std::uint64_t id) {
  if (config_.kept) receivers_dirty_.insert (id);
}

void
SessionImpl::sender_changed (std::uint64_t id) {
  if (config_.kept) senders_dirty_.insert (id);
}

void
SessionImpl::sender_confirmed (std::uint64_t id) {
  if (config_.kept) senders_confirmed_.insert (id);
}

void
SessionImpl::progress_changed () {
  progress_dirty_ = config_.kept;
}

void
SessionImpl::tell_keeper () {
  const bool urgent = !senders_dirty_.empty ();
  if (!keeper_ || (keeper_told_ && (keeper_urged_ || !urgent))) return;
  if (!progress_dirty_ && receivers_dirty_.empty () && senders_dirty_.empty () &&
      senders_confirmed_.empty ())
    return;
  keeper_told_ = true;
  keeper_urged_ = urgent;
  keeper_->session_has_changes (urgent);
}

std::vector<MemoryChange>
SessionImpl::take_changes () {
  std::vector<MemoryChange> changes;
  keeper_told_ = keeper_urged_ = false;
  senders_dirty_.merge (std::exchange (senders_confirmed_, {}));
  for (const std::uint64_t id : receivers_dirty_) changes.push_back (receiver_change (id));
  for (const std::uint64_t id : senders_dirty_) add_sender_changes (id, changes);
  receivers_captured_ = std::exchange (receivers_dirty_, {});
  senders_captured_ = std::exchange (senders_dirty_, {});
  if (std::exchange (progress_dirty_, false)) {
    memory::Progress progress;
    progress.peer_epoch = peer_epoch_;
    progress.next_channel_id = next_channel_id_;
    progress.peer_max_message_bytes = peer_max_message_bytes_;
    progress.seen_ids = seen_ids_;
    changes.push_back ({memory::kProgressKey, memory::encode (progress), {}});
  }
  return changes;
}

MemoryChange
SessionImpl::receiver_change (std::uint64_t id) {
  Receiver *receiver = find_receiver (id);
  if (!receiver) return {memory::receiver_key (id), {}, {}};
  receiver->note_captured ();
  memory::ReceiverItem item;
  item.open = receiver->open ();
  item.state = receiver->state;
  item.has_channel = receiver->channel != nullptr;
  item.taken = receiver->taken_set ();
  item.next_seq = receiver->next_seq ();
  if (receiver->finished ()) item.end = receiver->confirmation_end ();
  return {memory::receiver_key (id), memory::encode (item), {}};
}

void
SessionImpl::add_sender_changes (std::uint64_t id, std::vector<MemoryChange> &changes) {
  const ChannelImpl *channel = channel_of_sender (id);
  if (!channel) {
    changes.push_back ({memory::sender_key (id), {}, {}});
    changes.push_back ({memory::message_key (id, 0), {}, memory::message_key (id, UINT64_MAX)});
    return;
  }
  Sender &sender = *channel->sender_;
  memory::SenderItem item;
  item.open = sender.open ();
  item.durable = sender.durable ();
  item.manual_confirm = channel->options_.manual_confirm;
  item.finished = sender.finished ();
  item.ended = sender.ended ();
  if (sender.durable ()) {
    item.base_seq = sender.base_seq ();
    item.next_seq = sender.next_seq ();
    if (item.base_seq > 0)
      changes.push_back (
          {memory::message_key (id, 0), {}, memory::message_key (id, item.base_seq)});
    sender.each_uncaptured ([&] (const Message &message) {
      changes.push_back ({memory::message_key (id, message.seq), memory::encode (message), {}});
    });
  }
  sender.note_captured ();
  changes.push_back ({memory::sender_key (id), memory::encode (item), {}});
}

void
SessionImpl::changes_kept () {
  Entry entry (*this);
  for (const std::uint64_t id : std::exchange (receivers_captured_, {})) {
    Receiver *receiver = find_receiver (id);
    if (!receiver) continue;
    receiver->note_kept ();
    if (receiver->channel) mark_dirty (*receiver->channel);
  }
  for (const std::uint64_t id : std::exchange (senders_captured_, {})) {
    ChannelImpl *channel = channel_of_sender (id);
    if (!channel) continue;
    channel->sender_->note_kept ();
    if (channel->sender_->durable ()) channel->released_ = true;  // whoever waits for it learns so
    mark_dirty (*channel);
  }
}

Result<std::unique_ptr<Session>>
Session::restore (const SessionConfig &config, Observer &observer,
                  const std::vector<MemoryItem> &items) {
  auto session = std::make_unique<SessionImpl> (config, observer);
  if (Status bad = session->restore (items)) return *bad;
  return std::unique_ptr<Session> (std::move (session));
}

Status
SessionImpl::restore (const std::vector<MemoryItem> &items) {
  Entry entry (*this);
  std::vector<memory::Decoded> messages;
  // Senders first: receivers belong to their channels.
  std::vector<memory::ReceiverItem> receivers;
  for (const MemoryItem &item : items) {
    auto decoded = memory::decode (item);
    if (!decoded) return decoded.error ();
    if (decoded->progress) {
      peer_epoch_ = decoded->progress->peer_epoch;
      next_channel_id_ = decoded->progress->next_channel_id;
      peer_max_message_bytes_ = decoded->progress->peer_max_message_bytes;
      seen_ids_ = decoded->progress->seen_ids;
    } else if (decoded->sender) {
      if (Status bad = restore_sender (*decoded->sender)) return bad;
    } else if (decoded->receiver) {
      receivers.push_back (std::move (*decoded->receiver));
    } else {
      messages.push_back (std::move (*decoded));
    }
  }
  for (const memory::ReceiverItem &item : receivers) restore_receiver (item);
  // In the order of their keys, and so of their numbers.
  for (const memory::Decoded &decoded : messages) {
    ChannelImpl *channel = channel_of_sender (decoded.sender_id);
    if (!channel || decoded.message->seq < channel->sender_->base_seq ()) continue;
    if (decoded.message->seq != channel->sender_->next_seq ())
      return Error{P2P_ERROR_PROTOCOL,
                   "The kept messages of channel \"" + channel->name_ +
                       "\" have a gap. The session cannot be restored from this store; connect "
                       "anew."};
    channel->sender_->push_restored (*decoded.message);
  }
  for (const auto &channel : channels_)
    if (channel->sender_ && channel->sender_->durable () &&
        channel->sender_->next_seq () != channel->sender_->kept_seq ())
      return Error{P2P_ERROR_PROTOCOL, "Kept messages of channel \"" + channel->name_ +
                                           "\" are missing. The session cannot be restored from "
                                           "this store; connect anew."};
  return {};
}

Status
SessionImpl::restore_sender (const memory::SenderItem &item) {
  if (item.open.id >= next_channel_id_) next_channel_id_ = item.open.id + 1;
  if (find_channel (item.open.name))
    return Error{P2P_ERROR_PROTOCOL, "The channel \"" + item.open.name +
                                         "\" of a kept session is there twice. It cannot be "
                                         "restored from this store; connect anew."};
  ChannelImpl &channel = make_channel (item.open.name, item.open.options);
  channel.options_.durable = item.durable;
  channel.options_.manual_confirm = item.manual_confirm;
  by_sender_[item.open.id] = &channel;
  channel.sender_ = make_sender (*this, item.open, channel.stats_);
  channel.sender_->restore (item.base_seq, item.next_seq, item.finished, item.ended);
  return {};
}

void
SessionImpl::restore_receiver (const memory::ReceiverItem &item) {
  auto owned = std::make_unique<Receiver> (item.open);
  Receiver &receiver = *owned;
  receivers_[receiver.id ()] = std::move (owned);
  receiver.state = item.state;
  receiver.restore (item.taken, item.next_seq, item.end);
  if (!item.has_channel) return;
  ChannelImpl *channel = find_channel (item.open.name);
  if (!channel) channel = &make_channel (item.open.name, item.open.options);
  receiver.channel = channel;
  channel->receiver_ = &receiver;
}

}  // namespace p2p
