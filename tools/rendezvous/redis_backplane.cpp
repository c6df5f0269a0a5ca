#include "rendezvous/redis_backplane.hpp"

#include <algorithm>

#include "base/hex.hpp"

namespace p2p {

namespace {

constexpr char kOwnerKey[] = "gst-p2p:owner:";    // "OWNER SINCE_MS"
constexpr char kLeaseKey[] = "gst-p2p:lease:";    // "SERVER TOKEN SINCE_MS"
constexpr char kServerChannel[] = "gst-p2p:to:";  // and the name
constexpr char kAllChannel[] = "gst-p2p:all";
// The rest is for what servers say of themselves.
constexpr std::size_t kMaxQueueBytes = 16 * 1024 * 1024;
constexpr std::size_t kMaxDataBytes = kMaxQueueBytes / 4 * 3;
constexpr gint32 kReconnectUs = 200 * kMillisecond;
// After a refusal, which another connection would not help against.
constexpr gint32 kRefusedWaitUs = 5 * kSecond;

// Times are those of Redis, in milliseconds: the servers' clocks need not agree.
// KEYS: owner and lease of each. ARGV: channel prefix, server, ms of a lease, ms of ownership;
// then for each: id, owner, token, its age in ms.
constexpr char kClaimScript[] = R"lua(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local verdicts = {}
for i = 1, #KEYS, 2 do
  local a = 5 + (i - 1) * 2
  local id, owner, token, since = ARGV[a], ARGV[a + 1], ARGV[a + 2], now - ARGV[a + 3]
  local owned, lease = redis.call('GET', KEYS[i]), redis.call('GET', KEYS[i + 1])
  local o_owner, o_since, l_server, l_token, l_since
  if owned then o_owner, o_since = owned:match('^(%S+) (%d+)$') end
  if lease then l_server, l_token, l_since = lease:match('^(%S+) (%S+) (%d+)$') end
  local same = o_owner == owner
  local verdict = 'held'
  if l_token == token and same then
    -- The same registration; its server may have another name by now.
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
    redis.call('SET', KEYS[i + 1], ARGV[2] .. ' ' .. token .. ' ' .. l_since, 'PX', ARGV[3])
  elseif o_owner and not same and tonumber(o_since) <= since then
    verdict = 'taken'
  elseif l_since and same and tonumber(l_since) > since then
    verdict = 'replaced'
  else
    if l_token and l_token ~= token then
      redis.call('PUBLISH', ARGV[1] .. l_server,
        'lost ' .. id .. ' ' .. l_token .. ' ' .. (same and 'replaced' or 'taken'))
    end
    if not same then o_since = string.format('%.0f', since) end
    redis.call('SET', KEYS[i], owner .. ' ' .. o_since, 'PX', ARGV[4])
    redis.call('SET', KEYS[i + 1],
      ARGV[2] .. ' ' .. token .. ' ' .. string.format('%.0f', since), 'PX', ARGV[3])
  end
  verdicts[#verdicts + 1] = verdict
end
return verdicts
)lua";

// KEYS: owner and lease. ARGV: token, ms of ownership from now on.
constexpr char kReleaseScript[] = R"lua(
local lease = redis.call('GET', KEYS[2])
if lease and lease:match('^%S+ (%S+) ') == ARGV[1] then
  redis.call('DEL', KEYS[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
)lua";

// KEYS: owners. ARGV: for each the owner, its age in ms, and the ms that are left.
constexpr char kKeepScript[] = R"lua(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 1, #KEYS do
  local a = (i - 1) * 3
  redis.call('SET', KEYS[i], ARGV[a + 1] .. ' ' .. string.format('%.0f', now - ARGV[a + 2]),
    'PX', ARGV[a + 3], 'NX')
end
)lua";

std::string
hex (const std::string &bytes) {
  return bytes.empty () ? "-" : hex_of (ByteView (std::string_view (bytes)));
}

struct StringsFree {
  void operator() (char **strings) const { g_strfreev (strings); }
};
using UniqueStrings = std::unique_ptr<char *, StringsFree>;

std::string
milliseconds (TimeUs time) {
  return std::to_string (std::max<TimeUs> (time / kMillisecond, 1));
}

std::string
random_name () {
  const UniqueChars uuid (g_uuid_string_random ());
  return uuid.get ();
}

}  // namespace

class RedisBackplane::Side final : public RedisConnection::Observer {
 public:
  Side (RedisBackplane &owner, RedisOptions::Role role)
      : owner_ (owner),
        connection (owner.context_, owner.scheduler_, owner.address_, options_for (role)) {
    connection.set_observer (this);
    if (role == RedisOptions::Role::subscriber) {
      connection.subscribe (kAllChannel);
      connection.subscribe (kServerChannel + owner.name_);
    }
    connection.start ();
  }

 private:
  static RedisOptions options_for (RedisOptions::Role role) {
    RedisOptions options;
    options.role = role;
    options.max_queue_bytes = kMaxQueueBytes;
    return options;
  }
  void redis_ready () override { owner_.on_ready (); }
  void redis_lost (const Error &reason) override { owner_.on_lost (reason); }
  void redis_message (const std::string &, const std::string &payload) override {
    owner_.on_message (payload);
  }

  RedisBackplane &owner_;

 public:
  RedisConnection connection;
};

RedisBackplane::RedisBackplane (GMainContext *context, Scheduler &scheduler,
                                const RedisAddress &address)
    : context_ (context),
      scheduler_ (scheduler),
      address_ (address),
      connect_timer_ (scheduler.make_timer ([this] { connect (); })),
      restart_timer_ (scheduler.make_timer ([this] { go_down (restart_reason_); })) {}

RedisBackplane::~RedisBackplane () = default;

void
RedisBackplane::start (Observer *observer, const LeaseTimes &times) {
  observer_ = observer;
  times_ = times;
  connect_timer_->arm (scheduler_.now ());
}

// Both anew, under another name: what was sent to the old one, others know to be lost.
void
RedisBackplane::connect () {
  name_ = random_name ();
  fresh_ = true;
  commands_ = std::make_unique<Side> (*this, RedisOptions::Role::commands);
  subscriber_ = std::make_unique<Side> (*this, RedisOptions::Role::subscriber);
}

void
RedisBackplane::on_ready () {
  // After a loss the two of before may come back as well, until they are replaced.
  if (up_ || !fresh_ || !commands_->connection.ready () || !subscriber_->connection.ready ())
    return;
  up_ = true;
  last_reason_.clear ();
  if (observer_) observer_->backplane_up ();
}

void
RedisBackplane::on_lost (const Error &reason) {
  if (up_) go_down (reason);
  // Both sides have the same to tell.
  else if (observer_ && std::exchange (last_reason_, reason.message) != reason.message)
    observer_->backplane_down (reason);
}

void
RedisBackplane::go_down (const Error &reason) {
  if (!std::exchange (up_, false)) return;
  fresh_ = false;
  restart_timer_->disarm ();
  // Not from here, which one of the two may have called.
  const gint32 wait = reason.code == P2P_ERROR_REFUSED ? kRefusedWaitUs : kReconnectUs;
  connect_timer_->arm (scheduler_.now () + wait / 2 + g_random_int_range (0, wait / 2));
  last_reason_ = reason.message;
  if (observer_) observer_->backplane_down (reason);
}

void
RedisBackplane::restart (const Error &reason) {
  restart_reason_ = reason;
  restart_timer_->arm (scheduler_.now ());
}

// `done` gets null when there is no answer.
bool
RedisBackplane::command (const std::vector<std::string> &words,
                         std::function<void (const RedisReply *)> done) {
  if (!up_) return false;
  const auto refused = commands_->connection.command (
      words, [this, done = std::move (done)] (const Result<RedisReply> &answer) {
        done (answer ? &answer.value () : nullptr);
        // A Redis that has no memory left, or may not write, is none.
        if (!answer && commands_->connection.ready ()) go_down (answer.error ());
      });
  return !refused;
}

bool
RedisBackplane::claim (const std::vector<Claim> &claims, Decided decided) {
  std::vector<std::string> words = {"EVAL", kClaimScript, std::to_string (2 * claims.size ())};
  for (const Claim &one : claims) {
    words.push_back (kOwnerKey + one.id);
    words.push_back (kLeaseKey + one.id);
  }
  words.insert (words.end (), {kServerChannel, name_, milliseconds (times_.lease_us),
                               milliseconds (std::max (times_.lease_us, times_.hold_us))});
  for (const Claim &one : claims)
    words.insert (words.end (),
                  {one.id, hex (one.owner), one.token, std::to_string (one.age_us / kMillisecond)});
  return command (
      words, [decided = std::move (decided), count = claims.size ()] (const RedisReply *reply) {
        std::vector<Verdict> verdicts;
        if (reply && reply->is_array_of (count))
          for (const RedisReply &one : reply->items)
            verdicts.push_back (one.text == "held"       ? Verdict::held
                                : one.text == "replaced" ? Verdict::replaced
                                                         : Verdict::taken);
        decided (verdicts);
      });
}

bool
RedisBackplane::release (const Claim &claim) {
  return command ({"EVAL", kReleaseScript, "2", kOwnerKey + claim.id, kLeaseKey + claim.id,
                   claim.token, milliseconds (times_.hold_us)},
                  [] (const RedisReply *) {});
}

bool
RedisBackplane::keep (const std::vector<Claim> &claims, Decided done) {
  std::vector<std::string> words = {"EVAL", kKeepScript, std::to_string (claims.size ())};
  for (const Claim &one : claims) words.push_back (kOwnerKey + one.id);
  for (const Claim &one : claims)
    words.insert (words.end (), {hex (one.owner), milliseconds (one.age_us),
                                 milliseconds (times_.hold_us - one.age_us)});
  return command (words, [done = std::move (done)] (const RedisReply *) { done ({}); });
}

bool
RedisBackplane::find (const std::vector<std::string> &ids, Found found) {
  std::vector<std::string> words = {"MGET"};
  for (const std::string &id : ids) words.push_back (kLeaseKey + id);
  return command (words, [found = std::move (found)] (const RedisReply *reply) {
    std::vector<std::string> servers;
    if (reply)
      for (const RedisReply &one : reply->items)
        servers.push_back (one.text.substr (0, one.text.find (' ')));
    found (servers);
  });
}

bool
RedisBackplane::publish (const std::string &server, const std::string &text, bool data) {
  if (!up_ || (data && commands_->connection.queued_bytes () > kMaxDataBytes)) return false;
  return command ({"PUBLISH", server.empty () ? kAllChannel : kServerChannel + server, text},
                  [this, server] (const RedisReply *reply) {
                    const bool heard = !reply || reply->number > 0;
                    if (!heard && !server.empty () && up_ && observer_)
                      observer_->backplane_unreachable (server);
                  });
}

void
RedisBackplane::on_message (const std::string &payload) {
  if (!up_ || !observer_) return;
  if (payload.rfind ("lost ", 0) != 0) {
    observer_->backplane_message (payload);
    return;
  }
  // From the script: "lost ID TOKEN VERDICT".
  const UniqueStrings words (g_strsplit (payload.c_str (), " ", 5));
  if (g_strv_length (words.get ()) == 4)
    observer_->backplane_lost (
        words.get ()[1], words.get ()[2],
        g_str_equal (words.get ()[3], "taken") ? Verdict::taken : Verdict::replaced);
}

}  // namespace p2p
