#include "net/portable_source.hpp"

#include <gio/gio.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/loop_thread.hpp"
#include "base/ptr.hpp"

namespace p2p {

namespace {

constexpr TimeUs kLookEvery = kSecond;

// A monitor of our own. GLib's common one speaks on whichever thread asked for it first, which may
// iterate nothing; were that ours, the application's handlers would be called on it.
Ref<GObject>
make_monitor () {
  // Monitors are extensions, and GLib registers those with the first that it is asked for.
  (void)g_tls_backend_get_default ();
  GIOExtensionPoint *const point = g_io_extension_point_lookup ("gio-network-monitor");
  for (GList *item = point ? g_io_extension_point_get_extensions (point) : nullptr; item;
       item = item->next) {
    const GType type = g_io_extension_get_type (static_cast<GIOExtension *> (item->data));
    if (auto made = Ref<GObject>::adopt (
            static_cast<GObject *> (g_initable_new (type, nullptr, nullptr, nullptr))))
      return made;
  }
  return {};
}

class PortableSource final : public NetworkSource {
 public:
  PortableSource (GMainContext *context, Scheduler &scheduler)
      : context_ (context),
        scheduler_ (scheduler),
        look_ (scheduler.make_timer ([this] { on_look (); })) {}
  ~PortableSource () override {
    // Where it was made; a signal under way finds nobody.
    events_loop ().post ([holder = holder_] {
      if (holder->monitor) g_signal_handler_disconnect (holder->monitor.get (), holder->handler);
      holder->monitor.reset ();
    });
  }

  void start (std::function<void ()> spoke) override {
    holder_->context = Ref<GMainContext>::share (context_);
    spoke_ = std::make_shared<std::function<void ()>> (std::move (spoke));
    look_->arm (scheduler_.now () + kLookEvery);
    // On a thread that is iterated and may wait, as monitors that ask over D-Bus do.
    events_loop ().post ([holder = holder_, spoke = std::weak_ptr (spoke_)] {
      holder->monitor = make_monitor ();
      if (!holder->monitor) return;
      holder->spoke = spoke;
      using Handler = void (*) (GNetworkMonitor *, gboolean, gpointer);
      const Handler changed = [] (GNetworkMonitor *, gboolean, gpointer data) {
        static_cast<Holder *> (data)->tell ();
      };
      holder->handler = g_signal_connect (holder->monitor.get (), "network-changed",
                                          G_CALLBACK (changed), holder.get ());
      holder->tell ();  // what changed before it was there
    });
  }

  std::optional<NetworkSnapshot> read () override {
    auto now = list_addresses ();
    if (now) last_ = *now;
    return now;
  }

 private:
  void on_look () {
    look_->arm (scheduler_.now () + kLookEvery);
    const auto now = list_addresses ();
    if (!now || !difference (last_, *now).any ()) return;
    const auto spoke = spoke_;  // which may be the end of this
    (*spoke) ();
  }

  static std::optional<NetworkSnapshot> list_addresses () {
    ifaddrs *interfaces = nullptr;
    if (getifaddrs (&interfaces) != 0) return std::nullopt;
    NetworkSnapshot out;
    for (const ifaddrs *one = interfaces; one; one = one->ifa_next) {
      if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || !(one->ifa_flags & IFF_RUNNING)) continue;
      const bool ipv6 = one->ifa_addr->sa_family == AF_INET6;
      if (!ipv6 && one->ifa_addr->sa_family != AF_INET) continue;
      const void *const bytes =
          ipv6 ? static_cast<const void *> (
                     &reinterpret_cast<const sockaddr_in6 *> (one->ifa_addr)->sin6_addr)
               : &reinterpret_cast<const sockaddr_in *> (one->ifa_addr)->sin_addr;
      NetworkAddress address =
          make_network_address (bytes, ipv6, (one->ifa_flags & IFF_LOOPBACK) != 0);
      address.interface_index = if_nametoindex (one->ifa_name);
      address.interface_name = one->ifa_name;
      out.addresses.push_back (std::move (address));
    }
    freeifaddrs (interfaces);
    std::sort (out.addresses.begin (), out.addresses.end ());
    out.addresses.erase (std::unique (out.addresses.begin (), out.addresses.end ()),
                         out.addresses.end ());
    return out;
  }

  // All of it belongs to the events thread from start() on.
  struct Holder {
    void tell () const {
      post (context.get (), [spoke = spoke] {
        if (const auto alive = spoke.lock ()) (*alive) ();
      });
    }
    Ref<GMainContext> context;
    Ref<GObject> monitor;
    gulong handler = 0;
    std::weak_ptr<std::function<void ()>> spoke;
  };

  GMainContext *const context_;
  Scheduler &scheduler_;
  NetworkSnapshot last_;
  const std::unique_ptr<Scheduler::Timer> look_;
  const std::shared_ptr<Holder> holder_ = std::make_shared<Holder> ();
  std::shared_ptr<std::function<void ()>> spoke_;
};

}  // namespace

std::unique_ptr<NetworkSource>
make_portable_source (GMainContext *context, Scheduler &scheduler) {
  return std::make_unique<PortableSource> (context, scheduler);
}

}  // namespace p2p
