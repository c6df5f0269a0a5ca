#include <gio/gio.h>

#include <deque>

#include "../endpoints/event.hpp"
#include "base/fd_watch.hpp"
#include "end.hpp"

// What a 437 costs. A NAT that changes the port of a five-tuple makes one: the server knows nothing
// of an allocation there.
namespace bench {

namespace {

using p2p::Ref;

Ref<GSocket>
udp_socket (const char *ip) {
  auto made = Ref<GSocket>::adopt (
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  const auto any = Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string (ip, 0));
  if (!g_socket_bind (made.get (), any.get (), FALSE, nullptr)) die ("no UDP socket");
  g_socket_set_blocking (made.get (), FALSE);
  return made;
}

// A NAT with a long wire to one server: half of the round trip each way.
class Nat {
 public:
  Nat (const std::string &ip, const p2p::turn::Server &server, TimeUs rtt)
      : ip_ (ip),
        delay_ (rtt / 2),
        server_ (Ref<GSocketAddress>::adopt (
            g_inet_socket_address_new_from_string (server.host.c_str (), server.port))),
        inside_ (udp_socket (ip.c_str ())),
        inside_watch_ (context (), g_socket_get_fd (inside_.get ()), G_IO_IN,
                       [this] (GIOCondition) { from_client (); }),
        timer_ (scheduler ().make_timer ([this] { deliver (); })) {
    rebind ();
  }
  // From now on the server sees another port.
  void rebind () {
    outside_watch_.reset ();
    outside_ = udp_socket (ip_.c_str ());
    outside_watch_ =
        std::make_unique<p2p::FdWatch> (context (), g_socket_get_fd (outside_.get ()), G_IO_IN,
                                        [this] (GIOCondition) { from_server (); });
  }
  std::uint16_t port () const {
    const auto bound =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (inside_.get (), nullptr));
    return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound.get ()));
  }

 private:
  struct Flying {
    TimeUs due;
    bool out;
    std::string bytes;
  };

  void from_client () {
    GSocketAddress *from = nullptr;
    take (inside_.get (), true, &from);
    if (from) client_ = Ref<GSocketAddress>::adopt (from);
  }
  void from_server () { take (outside_.get (), false, nullptr); }
  void take (GSocket *socket, bool out, GSocketAddress **from) {
    char bytes[2048];
    const gssize size = g_socket_receive_from (socket, from, bytes, sizeof bytes, nullptr, nullptr);
    if (size < 0) return;
    flying_.push_back (
        {scheduler ().now () + delay_, out, std::string (bytes, static_cast<std::size_t> (size))});
    timer_->arm (flying_.front ().due);
  }
  void deliver () {
    while (!flying_.empty () && flying_.front ().due <= scheduler ().now ()) {
      const Flying one = std::move (flying_.front ());
      flying_.pop_front ();
      g_socket_send_to (one.out ? outside_.get () : inside_.get (),
                        one.out ? server_.get () : client_.get (), one.bytes.data (),
                        one.bytes.size (), nullptr, nullptr);
    }
    if (!flying_.empty ()) timer_->arm (flying_.front ().due);
  }

  const std::string ip_;
  const TimeUs delay_;
  const Ref<GSocketAddress> server_;
  const Ref<GSocket> inside_;
  Ref<GSocket> outside_;
  Ref<GSocketAddress> client_;
  std::deque<Flying> flying_;
  p2p::FdWatch inside_watch_;
  std::unique_ptr<p2p::FdWatch> outside_watch_;
  const std::unique_ptr<p2p::Scheduler::Timer> timer_;
};

// From the 437 to the moment at which the peer may be sent to again.
TimeUs
recover (End &end, Nat &nat, const std::function<void ()> &provoke) {
  TimeUs lost_at = 0, granted_at = 0;
  end.on_event = [&] (const p2p::turn::Event &event) {
    if (event.kind == End::Kind::network_bad) {
      if (event.code != 437) die ("lost, but not for a 437: " + event.message);
      lost_at = now_us ();
    }
    if (event.kind == End::Kind::peer_granted && lost_at) granted_at = now_us ();
  };
  nat.rebind ();
  provoke ();
  run_until ("recovery", [&] { return granted_at != 0; });
  end.on_event = nullptr;
  return granted_at - lost_at;
}

}  // namespace

// RTT-MS COUNT
void
run_recovery (const Through &through, char **arguments) {
  const TimeUs rtt = std::atoi (arguments[0]) * p2p::kMillisecond;
  const int count = std::atoi (arguments[1]);
  Nat nat (through.server.host, through.server, rtt);
  Through behind = through;
  behind.server.port = nat.port ();
  for (const char *request : {"refresh", "channel-bind"}) {
    for (int i = 0; i < count; ++i) {
      // Each of its own, because losses in a row are a failure of the server.
      End end (behind);
      run_until ("allocation", [&] { return end.allocated (); });
      bool granted = false;
      end.on_event = [&] (const p2p::turn::Event &event) {
        granted = granted || event.kind == End::Kind::peer_granted;
      };
      Address peer = end.relayed ();
      end.add_peer (peer);
      run_until ("permission", [&] { return granted; });
      run_for (2 * rtt);  // its channel
      const bool by_refresh = *request == 'r';
      const TimeUs took = recover (end, nat, [&] {
        if (by_refresh) {
          end.client ().transport_doubtful ();
        } else {
          // The permission is there: another port of the peer asks for a channel alone.
          peer.port = peer.port == 9 ? 10 : 9;
          end.add_peer (peer);
        }
      });
      say ("recovered", ",\"request\":\"%s\",\"ms\":%.3f", request,
           static_cast<double> (took) / 1e3);
    }
  }
  say ("end", "%s", "");
}

}  // namespace bench
