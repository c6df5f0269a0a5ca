// p2psink's share of a stream that can be resumed: listens to what the receiver asks for, and has
// what is upstream go on there.
//
// The receiver asks on the event context, the streaming thread sends, and a seek runs on a thread
// of its own: it flushes, and so waits for the streaming thread, which may be waiting here.
#pragma once
#include <gst/base/base.h>

#include <memory>
#include <mutex>

#include "link.hpp"
#include "resume-sender.hpp"

namespace p2p {

class SinkResume final : public ChannelUser, public std::enable_shared_from_this<SinkResume> {
 public:
  explicit SinkResume (GstBaseSink *sink);
  ~SinkResume () override;
  SinkResume (const SinkResume &) = delete;
  SinkResume &operator= (const SinkResume &) = delete;

  // For the streaming thread. Before anything that comes after the segment.
  void begin_segment (const GstSegment &segment);
  void flushed ();
  void end_stream ();
  bool taken () const;  // the receiver has said that it has all
  // Waits until bytes may be sent, or all is taken. `repeat_caps`: to one who may not have what
  // came before.
  Link::Wait wait_turn (Link &link, GCancellable *cancellable, bool &repeat_caps);
  StreamPlace place () const;
  void sent (std::uint64_t bytes);
  // Tells the receiver that this was the end, and waits for what it says: ready when it has all,
  // stalled when there is something else to do first.
  Link::Wait wait_taken (Link &link, GCancellable *cancellable);

  void channel_opened (const std::shared_ptr<Link> &link, const Ref<P2pChannel> &channel) override;

 private:
  void listen ();
  void heard (P2pMessage *message);
  void seek_if_wanted ();
  void seek (GstElement *element, std::uint64_t offset);
  void warn_fixed (GstElement *element);
  void wake ();
  ResumeSender::Step step () const;

  GWeakRef sink_;
  const Ref<GCancellable> cancellable_;
  Ref<P2pChannel> channel_;  // event context only

  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  std::weak_ptr<Link> link_;
  ResumeSender sender_;
  bool taken_ = false;
  bool asked_upstream_ = false;  // whether it can seek
  bool warned_ = false;
};

}  // namespace p2p
