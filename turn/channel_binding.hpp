// Channel numbers and the peers that they stand for (RFC 8656 section 12). Times alone; who asks
// the server is Peers.
#pragma once
#include <map>
#include <optional>

#include "base/scheduler.hpp"
#include "turn/address.hpp"
#include "turn/channel_data.hpp"

namespace p2p::turn {

constexpr TimeUs kChannelLifetime = 600 * kSecond;  // RFC 8656 section 12
constexpr TimeUs kChannelRefresh = 540 * kSecond;
// After its end a number must not go to another peer for as long (RFC 8656 section 12), so that
// nothing late goes to the wrong one.
constexpr TimeUs kChannelRest = 300 * kSecond;

enum class BindingState { wanted, asked, bound, refused };

class ChannelTable {
 public:
  struct Binding {
    std::uint16_t channel = 0;
    BindingState state = BindingState::wanted;
    TimeUs due = 0;           // when it is asked for, or asked again
    TimeUs expires = kNever;  // of a bound one
    int failures = 0;
  };

  // Null when every number is taken: the peer does without.
  Binding *add (const Address &peer, TimeUs now);
  void remove (const Address &peer, TimeUs now);
  Binding *find (const Address &peer);
  // The channel to send on, if there is one by now.
  std::optional<std::uint16_t> bound (const Address &peer, TimeUs now);
  const Address *peer_of (std::uint16_t channel) const;
  void forget (TimeUs now);  // the server has forgotten all of them
  std::optional<Address> take_due (TimeUs now);
  TimeUs next_due () const;

 private:
  std::optional<std::uint16_t> free_number (TimeUs now);

  std::map<Address, Binding> bindings_;
  std::map<std::uint16_t, Address> peers_;
  std::map<std::uint16_t, TimeUs> resting_;  // until when
  std::uint16_t next_ = kFirstChannel;
};

}  // namespace p2p::turn
