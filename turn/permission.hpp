// Which peers may send to the relayed address, and until when (RFC 8656 section 9). Times alone;
// who asks the server is Peers.
#pragma once
#include <map>
#include <vector>

#include "base/scheduler.hpp"
#include "turn/address.hpp"

namespace p2p::turn {

constexpr TimeUs kPermissionLifetime = 300 * kSecond;  // RFC 8656 section 9
// Asked again this early: time for a request that needs all its repetitions, and for one more.
constexpr TimeUs kPermissionRefresh = 240 * kSecond;
// Addresses of one CreatePermission: it should fit into the smallest datagram.
constexpr std::size_t kPermissionsPerRequest = 16;

enum class PermissionState { wanted, asked, granted, refused };

class PermissionTable {
 public:
  struct Entry {
    PermissionState state = PermissionState::wanted;
    TimeUs due = 0;           // when it is asked for, or asked again
    TimeUs expires = kNever;  // of a granted one
    int failures = 0;         // since it was last granted
    bool alone = false;       // a request for several was refused: whose fault was it?
  };

  Entry &add (const Address &ip) { return entries_[ip.without_port ()]; }
  void remove (const Address &ip) { entries_.erase (ip.without_port ()); }
  Entry *find (const Address &ip);
  bool granted (const Address &ip, TimeUs now);
  // The server has forgotten all of them. Refused ones are asked for again.
  void forget (TimeUs now);
  // Those of one family to be asked for with one request, marked as asked.
  std::vector<Address> take_due (TimeUs now);
  TimeUs next_due () const;

 private:
  std::map<Address, Entry> entries_;  // by address without port
};

}  // namespace p2p::turn
